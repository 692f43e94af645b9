"""Every command and snippet of the landing page, the tutorials and the guides is executed."""

import contextlib
import doctest
import os
import re
import shlex
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import attrs
import pytest

from mtlkit.cli import main
from mtlkit.ops.dispatch.table import REGISTERED

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [
    DOCS / "index.md",
    DOCS / "reference" / "errors.md",
    *(
        DOCS / "how-to" / f"{name}.md"
        for name in (
            *(
                "runs",
                "preemption",
                "models",
                "recipes",
                "train",
                "log",
                "labels",
                "batches",
                "large-data",
                "groups",
                "pretrained",
            ),
        )
    ),
    *sorted((DOCS / "tutorials").glob("*.md")),
    *sorted((DOCS / "guide").glob("*.md")),
]

ELSEWHERE = {
    "pip install mtlkit": "tests/wheels installs the wheel",
    "pip install 'mtlkit[compare]'": "the dev extra brings the same packages",
    "cd mtlkit-acme": "a change of folder",
    "pip install --editable '.[dev]'": "tests/wheels installs the wheel of the same files",
    "pytest": "plugins/mtlkit-hello/tests, and tests/scaffold for each family alone",
    "ruff check . && ruff format --check . && mypy": "tests/scaffold and tests/architecture",
}
"""The commands of the guide that are run by other tests, and by which."""

LOCAL_INSTALL = re.compile(r"pip install --editable \./(\S+)")
FILE_NAME = re.compile(r"(?:#!.*\n)?# ([\w./-]+\.(?:yaml|toml|py|sh|sbatch))\n")
PLUGIN_FILE = re.compile(r"# mtlkit_(\w+)/plugin\.py\n(?:# made for plugin API (\S+)\n)?")


@attrs.frozen
class Block:
    """A fenced block: what it is, its text, and the line on which it starts."""

    kind: str
    text: str
    line: int


def blocks(page):
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"^```([\w{}-]*)[^\n]*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield Block(found[1], found[2], text[: found.start()].count("\n") + 1)


def calls(block):
    """The commands of a console block, each with the output that is shown."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def said_by(command, capsys):
    """What a command prints, errors too."""
    program, *arguments = shlex.split(command)
    if program == "torchrun":
        return said_by_processes(arguments)
    assert program == "mtlkit", f"only mtlkit is run here, not {program}"
    with contextlib.redirect_stderr(sys.stdout), pytest.raises(SystemExit):
        main(arguments)  # both streams in the order in which a terminal shows them
    return capsys.readouterr().out


def said_by_processes(arguments):
    """Return the output of several processes, and the error of the one that failed first."""
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert "[rank1]: Traceback" not in done.stderr
    errors = {line for line in done.stderr.splitlines() if line.startswith("mtlkit: error: ")}
    first = [line for line in errors if "another process of this run failed" not in line]
    return done.stdout + "\n".join(first)


def as_shown(shown, found):
    """Whether the output is the one shown, in which ``...`` stands for anything."""
    lines = [line.rstrip() for line in found.rstrip().splitlines()]
    checker = doctest.OutputChecker()
    return checker.check_output(f"{shown.rstrip()}\n", "\n".join([*lines, ""]), doctest.ELLIPSIS)


class Reader:
    """Does what a page says, block by block, in a folder of its own."""

    def __init__(self, folder, capsys, monkeypatch, distribution):
        self.folder, self.capsys = folder, capsys
        self.monkeypatch, self.distribution = monkeypatch, distribution
        self.namespace = {"__name__": "guide"}
        self.plugins = ["hello"]

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def install(self, folder):
        """Do what an editable install does: put the folder on the path, with its entry points."""
        project = tomllib.loads((self.folder / folder / "pyproject.toml").read_text())["project"]
        [(namespace, module)] = project["entry-points"]["mtlkit"].items()
        [(api, _)] = project["entry-points"]["mtlkit.api"].items()
        source = (self.folder / folder / f"{module}.py").read_text()
        self.distribution(namespace, source, name=project["name"], version=project["version"],
                          api=api, module=module)  # fmt: skip
        self.plugins.append(namespace)

    def read(self, block):
        """Do one block; what a console says is given back, beside what is shown."""
        self.monkeypatch.setenv("MTLKIT_PLUGINS", ",".join(self.plugins))
        if (plugin := PLUGIN_FILE.match(block.text)) is not None:
            self.distribution(plugin[1], block.text, api=plugin[2] or "2.0")
            self.plugins = ["hello", plugin[1]]
        elif (named := FILE_NAME.match(block.text)) is not None:
            self.write(named[1], block.text)
        elif block.kind == "python":
            exec(compile(textwrap.dedent(block.text), "guide", "exec"), self.namespace)
        elif block.kind == "console":
            for command, shown in calls(block):
                if command.startswith("mtlkit plugins disable"):
                    self.monkeypatch.delenv("MTLKIT_PLUGINS")  # a selection would count for more
                yield command, shown, said_by(command, self.capsys)
        elif block.kind == "shell":
            for line in block.text.splitlines():
                if (local := LOCAL_INSTALL.fullmatch(line)) is not None:
                    self.install(local[1])
                else:
                    assert line in ELSEWHERE, line
        else:
            assert block.kind in ("{literalinclude}", "{toctree}", "{image}", "text"), block.kind


@pytest.fixture
def reader(tmp_path, capsys, monkeypatch, distribution):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(REGISTERED.implementations, "_values", {})  # a page may register one
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site-packages"))
    return Reader(tmp_path, capsys, monkeypatch, distribution)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}-{page.stem}")
def test_a_page_does_what_it_shows(page, reader):
    for block in blocks(page):
        for command, shown, found in reader.read(block):
            place = f"{page.name}:{block.line}: $ {command}"
            assert as_shown(shown, found), f"{place}\nshown:\n{shown}\nfound:\n{found}"


def test_what_is_included_exists():
    included = [
        (page.parent / name).resolve()
        for page in PAGES
        for name in re.findall(r"^```{literalinclude} (\S+)", page.read_text(), re.MULTILINE)
    ]
    assert len(included) > 10
    assert [path for path in included if not path.is_file()] == []
    shown = {path.name for path in included}
    package = DOCS.parent / "plugins" / "mtlkit-hello" / "mtlkit_hello"
    assert {path.name for path in package.glob("*.py")} - shown == {"__init__.py"}


def test_a_page_that_shows_something_else_is_noticed():
    assert as_shown("a ... c\n", "a b c\n")
    assert not as_shown("a ... d\n", "a b c\n")
    assert not as_shown("", "a\n")


def test_every_module_of_the_teaching_plugin_is_shown_on_a_page():
    """A family without a page would be one that a plugin's author has to guess."""
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    package = DOCS.parent / "plugins" / "mtlkit-hello" / "mtlkit_hello"
    modules = {path.name for path in package.glob("*.py")} - {"__init__.py"}
    assert {name for name in modules if f"mtlkit_hello/{name}\n" not in text} == set()
