"""``mtlkit plugin new``: a package of one's own that installs, passes its tests, and is found."""

import re
from collections.abc import Iterator, Mapping
from importlib import metadata, resources
from pathlib import Path

import attrs
import click

from mtlkit.errors import InvalidNameError, MtlkitError
from mtlkit.plugins import hooks

FAMILIES: Mapping[str, tuple[str, ...]] = {
    "backbone": ("small_conv", "small_conv_trunk"),
    "head": ("cosine", "cosine_head"),
    "metric": ("within",),
    "weighting": ("discount", "discount_weights"),
    "router": ("adapters", "adapters_router"),
    "data": ("stripes", "draw_stripes"),
    "op": ("by_rows",),
}
"""The families that a new plugin can show, and the modules that show each."""

NAMESPACE = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")

LONGEST = 30
"""The longest namespace: with it every line of the new package still fits its own linter."""


@attrs.frozen
class Start:
    """A plugin that is to be written: its namespace, and the families it shows."""

    name: str
    families: tuple[str, ...]

    @property
    def distribution(self) -> str:
        """What `pip` calls it."""
        return f"mtlkit-{self.name.replace('_', '-')}"

    @property
    def package(self) -> str:
        """What Python calls it."""
        return self.distribution.replace("-", "_")

    def files(self) -> Iterator[tuple[str, str]]:
        """The path and the template of every file."""
        yield "pyproject.toml", "pyproject.toml"
        yield "README.md", "README.md"
        yield ".gitignore", "gitignore"
        yield f"{self.package}/__init__.py", "init.py"
        yield f"{self.package}/py.typed", "py.typed"
        yield f"{self.package}/plugin.py", "plugin.py"
        for family in self.families:
            for module in FAMILIES[family]:
                yield f"{self.package}/{module}.py", f"{module}.py"
        if "data" in self.families:  # with data of its own it can be tried at once
            yield f"{self.package}/recipes/first.yaml", "recipe.yaml"
        yield "tests/test_conformance.py", "test_conformance.py"
        yield "tests/test_formulas.py", "test_formulas.py"

    def write(self, folder: Path) -> None:
        """Write every file into the new `folder`."""
        import jinja2

        environment = jinja2.Environment(
            trim_blocks=True,
            keep_trailing_newline=True,
            undefined=jinja2.StrictUndefined,
            autoescape=False,  # what is written is code, no page
        )
        words = {
            "name": self.name,
            "distribution": self.distribution,
            "package": self.package,
            "api": ".".join(map(str, hooks.API)),
            "release": ".".join(metadata.version("mtlkit").split(".")[:2]),
            **{family: family in self.families for family in FAMILIES},
        }
        templates = resources.files("mtlkit.cli") / "scaffold"
        for path, template in self.files():
            text = (templates / f"{template}.jinja").read_text(encoding="utf-8")
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(environment.from_string(text).render(words), encoding="utf-8")


@click.group()
def plugin() -> None:
    """Write a plugin of your own."""


@plugin.command()
@click.argument("name")
@click.option("--backbone", is_flag=True, help="Show a backbone.")
@click.option("--head", is_flag=True, help="Show a head.")
@click.option("--metric", is_flag=True, help="Show a metric.")
@click.option("--weighting", is_flag=True, help="Show a weighting of losses.")
@click.option("--router", is_flag=True, help="Show a router.")
@click.option("--data", is_flag=True, help="Show a data source, and a recipe that can be run.")
@click.option("--op", is_flag=True, help="Show an implementation of a head op.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="The new folder; by default mtlkit-NAME here.",
)
def new(name: str, out: Path | None, **asked: bool) -> None:
    """Start the plugin NAME, with a working component of each family that is asked for, or of all.

    NAME is its namespace: its components are called NAME/...
    """
    name = name.removeprefix("mtlkit-")
    if not NAMESPACE.fullmatch(name) or name == "mtlkit" or len(name) > LONGEST:
        raise InvalidNameError(
            f"{name!r} cannot be the namespace of a plugin; expected at most {LONGEST} lower-case "
            f"letters and digits, parted by '-' or '_', such as acme or acme-vision"
        )
    families = tuple(family for family, wanted in asked.items() if wanted)
    start = Start(name, families or tuple(FAMILIES))
    folder = out or Path(start.distribution)
    if folder.exists() and any(folder.iterdir()):
        raise MtlkitError(f"{folder}: is not empty; give another folder with --out")
    try:
        start.write(folder)
    except OSError as cause:
        raise MtlkitError(f"{cause.filename}: cannot be written: {cause.strerror}") from cause
    click.echo(f"{folder}: {len(list(start.files()))} files; now\n  cd {folder}")
    click.echo("  pip install --editable '.[dev]'\n  pytest")
