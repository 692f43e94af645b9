"""``mtlkit plugin new``: create a plugin package that installs and passes its tests."""

import re
from collections.abc import Callable, Iterator
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import attrs
import click

from mtlkit.atomic_files import TEMPORARY, make_folder, write_file, write_folder
from mtlkit.errors import InvalidNameError, MtlkitError
from mtlkit.plugins import hooks
from mtlkit.plugins.families import FAMILIES, Family
from mtlkit.printable import echo


@attrs.frozen
class ScaffoldExample:
    """An example component of a new plugin: its family, module, class, name and summary."""

    plural: str
    module: str
    component: str
    name: str
    summary: str


EXAMPLES = tuple(
    ScaffoldExample(*words)
    for words in (
        ("backbones", "small_conv", "SmallConv", "small-conv", "two convolutions"),
        ("adapters", "spread", "Spread", "spread", "the spread over the pixels"),
        ("heads", "cosine", "CosineClassifier", "cosine", "classes by the cosine of an angle"),
        ("heads", "charbonnier", "Charbonnier", "charbonnier", "numbers of pixels, robustly"),
        ("heads", "label_margins", "LabelMargins", "label-margins", "several labels by a margin"),
        ("metrics", "within", "Within", "within", "the fraction within a tolerance"),
        ("routers", "adapters", "Adapters", "adapters", "a small layer for each task"),
        ("branches", "scaled", "Scaled", "scaled", "features scaled for each group"),
        ("weightings", "discount", "Discount", "discount", "less for each later side task"),
        ("data", "stripes", "Stripes", "stripes", "drawn images of stripes"),
        ("data", "balls", "Balls", "balls", "drawn balls with labels of pixels"),
        ("targets", "angle", "Angle", "angle", "an angle in degrees"),
        ("transforms", "shift", "Shift", "shift", "the frame moved by a few pixels"),
        ("optimizers", "rmsprop", "RMSprop", "rmsprop", "by the root mean square"),
        ("schedules", "polynomial", "Polynomial", "polynomial", "falls to 0 by a power"),
        ("callbacks", "lookahead", "Lookahead", "lookahead", "weights pulled back"),
        ("evaluators", "calibration", "Calibration", "calibration", "confidence less accuracy"),
        ("loggers", "csv_lines", "CSVLines", "csv", "losses and weights as a table"),
        ("ops", "hinge", "HINGE", "hinge", "the squared hinge of each row"),
        ("implementations", "by_rows", "BY_ROWS", "by-rows", "a few rows at a time"),
    )
)
"""Examples of each family; the template of each, and of its test, is named after the module."""

HOOKS = "hooks"
"""The option for hooks that observe a run, which are not components."""


def option_of(family: Family[Any]) -> str:
    """Return the option of ``mtlkit plugin new`` for an example of the family."""
    return "data" if family.plural == "data" else family.singular


NAMESPACE = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")

LONGEST = 30
"""The longest namespace: with it every line of the new package still fits its own linter."""


@attrs.frozen
class Start:
    """A plugin to write: its namespace, its examples, and whether it has hooks."""

    name: str
    examples: tuple[ScaffoldExample, ...]
    hooks: bool

    @property
    def distribution(self) -> str:
        """Name of the distribution, for `pip`."""
        return f"mtlkit-{self.name.replace('_', '-')}"

    @property
    def package(self) -> str:
        """Name of the package to import."""
        return self.distribution.replace("-", "_")

    def files(self) -> Iterator[tuple[str, str]]:
        """Yield the path and the template of every file."""
        yield "pyproject.toml", "pyproject.toml"
        yield "README.md", "README.md"
        yield ".gitignore", "gitignore"
        yield f"{self.package}/__init__.py", "init.py"
        yield f"{self.package}/py.typed", "py.typed"
        yield f"{self.package}/plugin.py", "plugin.py"
        modules = [example.module for example in self.examples]
        for module in [*modules, "observer"] if self.hooks else modules:
            yield f"{self.package}/{module}.py", f"{module}.py"
            yield f"tests/test_{module}.py", f"test_{module}.py"
        if "stripes" in modules:  # the example data makes the recipe runnable
            yield f"{self.package}/recipes/first.yaml", "recipe.yaml"
            yield f"{self.package}/recipes/maps.yaml", "maps.yaml"
        if modules:
            yield "tests/test_conformance.py", "test_conformance.py"

    def write(self, folder: Path) -> None:
        """Write every file into the new or empty `folder`; raise `RunError` if that fails.

        The folder may hold some of these files: those of a call that was stopped.
        """
        import jinja2

        environment = jinja2.Environment(
            trim_blocks=True,
            keep_trailing_newline=True,
            undefined=jinja2.StrictUndefined,
            autoescape=False,  # the output is code, not HTML
        )
        words = {
            "name": self.name,
            "distribution": self.distribution,
            "package": self.package,
            "api": ".".join(map(str, hooks.API)),
            "release": ".".join(metadata.version("mtlkit").split(".")[:2]),
            "examples": self.examples,
            HOOKS: self.hooks,
            **{
                option_of(family): any(example.plural == family.plural for example in self.examples)
                for family in FAMILIES
            },
        }
        templates = resources.files("mtlkit.cli") / "scaffold"
        contents = {}
        for path, template in self.files():
            text = (templates / f"{template}.jinja").read_text(encoding="utf-8")
            contents[path] = environment.from_string(text).render(words).encode()
        folder = folder.absolute()
        make_folder(folder.parent)
        if not folder.exists():
            write_folder(folder, contents)
            return
        for file in (path for path in folder.rglob("*") if not path.is_dir()):
            ours = contents.get(file.relative_to(folder).as_posix())
            if not file.name.startswith(TEMPORARY) and (ours is None or file.read_bytes() != ours):
                raise MtlkitError(f"{folder}: is not empty; give another folder with --out")
        for path, content in contents.items():  # the folder may be the working directory
            make_folder((folder / path).parent)
            write_file(folder / path, content)


@click.group()
def plugin() -> None:
    """Write your own plugin."""


def _family_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add an option for each family, and one for hooks."""
    text = "Add hooks that observe runs."
    command = click.option(f"--{HOOKS}", is_flag=True, help=text)(command)
    for family in reversed(FAMILIES):
        text = f"Add an example of {family.plural}."
        command = click.option(f"--{option_of(family)}", is_flag=True, help=text)(command)
    return command


@plugin.command()
@click.argument("name")
@_family_options
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="The new folder; by default mtlkit-NAME here.",
)
def new(name: str, out: Path | None, **options: bool) -> None:
    """Start the plugin NAME, with an example of each family that is given, or of all.

    NAME is its namespace: its components are called NAME/...
    """
    name = name.removeprefix("mtlkit-")
    if not NAMESPACE.fullmatch(name) or name == "mtlkit" or len(name) > LONGEST:
        raise InvalidNameError(
            f"{name!r} cannot be the namespace of a plugin; expected at most {LONGEST} lower-case "
            f"letters and digits, separated by '-' or '_', such as acme or acme-vision"
        )
    everything = not any(options.values())
    plurals = {f.plural for f in FAMILIES if everything or options[option_of(f)]}
    examples = tuple(example for example in EXAMPLES if example.plural in plurals)
    start = Start(name, examples, hooks=everything or options[HOOKS])
    folder = out or Path(start.distribution)
    start.write(folder)
    echo(f"{folder}: {len(list(start.files()))} files; now", f"  cd {folder}")
    echo("  pip install --editable '.[dev]'", "  pytest")
