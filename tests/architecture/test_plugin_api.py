"""What plugins may import is one frozen list; our own plugins keep to it, and the docs show it."""

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mtlkit.errors
from mtlkit.namespace import NAMESPACES, public_names, stub_of
from mtlkit.plugins.builtins import listed_components
from mtlkit.plugins.catalog import load_catalog
from mtlkit.plugins.families import FAMILIES
from mtlkit.recipe_io.snippet import RECIPE_PATHS

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = {
    package.name: sorted(package.rglob("*.py"))
    for package in sorted((ROOT / "plugins").glob("*/mtlkit_*"))
    if package.suffix == ""
}

PLUGIN_API = {namespace: set(public_names(namespace)) for namespace in NAMESPACES}
"""The public namespaces and their names: each stub is the one list of its namespace."""


def outside_the_api(tree: ast.AST) -> Iterator[str]:
    """Every import of something of mtlkit that is not in the list."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            module = node.module or ""
            if module.split(".")[0] == "mtlkit":
                public = PLUGIN_API.get(module, set())
                for alias in node.names:
                    if alias.name not in public:
                        yield f"line {node.lineno}: {module}: {alias.name}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "mtlkit":  # by way of it everything can be reached
                    yield f"line {node.lineno}: import {alias.name}"


@pytest.mark.parametrize("module", PLUGIN_API)
def test_every_public_name_exists_and_is_documented(module):
    namespace = importlib.import_module(module)
    assert set(namespace.__all__) == set(dir(namespace)) == PLUGIN_API[module]
    for name in PLUGIN_API[module]:
        value = getattr(namespace, name)
        assert not name.startswith("_")
        if isinstance(value, type):
            assert value.__doc__, name


def test_there_are_few_namespaces():
    assert len(NAMESPACES) <= 15


def test_every_comment_of_a_stub_is_the_entry_of_a_component():
    comments = [
        line
        for space in NAMESPACES
        for line in stub_of(space).read_text("utf-8").splitlines()
        if "#" in line
    ]
    listed = listed_components()
    assert comments == [f"# {c.family}/{c.name}: {c.summary}" for c in listed]
    assert {c.family for c in listed} <= {family.plural for family in FAMILIES}


def test_every_error_is_public():
    errors = {
        name
        for name, value in vars(mtlkit.errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert PLUGIN_API["mtlkit.plugins"] >= errors


def test_every_component_and_its_family_are_public():
    public = {name for names in PLUGIN_API.values() for name in names}
    assert public >= {family.base.partition(":")[2] for family in FAMILIES}
    catalog = load_catalog("none")
    for plural in RECIPE_PATHS:
        registry = catalog.families()[plural]
        for entry in registry:
            component = registry.get(entry.name)
            assert {component.__name__, component.__mro__[1].__name__} & public, component


def test_the_docs_show_the_namespaces():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text.split("## What plugins may import\n")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `(mtlkit[\w.]*)` \|", section, re.MULTILINE)) == set(NAMESPACES)


def test_the_docs_import_only_public_names():
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    pages = [page for page in pages if not {"_build", "_generated"} & {*page.parts}]
    blocks = [
        (page.relative_to(ROOT).as_posix(), ast.parse(block.replace(">>> ", "")))
        for page in pages
        for block in re.findall(r"^```python\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S)
    ]
    assert len(blocks) > 100
    outside = [
        (page, line)
        for page, tree in blocks
        for line in outside_the_api(tree)
        if not line.endswith(": import mtlkit")  # the namespace that users import
    ]
    assert outside == []


def test_our_plugins_are_looked_at():
    assert set(PLUGINS) == {
        "mtlkit_benchmarks",
        "mtlkit_face",
        "mtlkit_hello",
        "mtlkit_synthetic_faces",
        "mtlkit_torchjd",
    }


@pytest.mark.parametrize("plugin", PLUGINS)
def test_our_plugin_imports_only_what_is_public(plugin):
    paths = PLUGINS[plugin]
    assert len(paths) > 5
    named = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}
    found = {name: list(outside_the_api(ast.parse(text))) for name, text in named.items()}
    assert {name: lines for name, lines in found.items() if lines} == {}
    library = plugin == "mtlkit_synthetic_faces"  # a library that needs nothing of mtlkit
    assert library or any("from mtlkit." in text for text in named.values())


@pytest.mark.parametrize(
    "text",
    [
        "from mtlkit._inner import x",
        "from mtlkit.plugins.catalog import _x",
        "from mtlkit.plugins import Registrar, load_catalog",  # one of two
        "from mtlkit.training.loop import Training",  # a module that is not public
        "from mtlkit import catalog",  # a module by way of the package
        "from mtlkit.errors import *",
        "import mtlkit",
        "import mtlkit.component as config",
        "def f():\n    from mtlkit.model import assemble",  # a late import
        "if TYPE_CHECKING:\n    from mtlkit.model import assemble",
    ],
)
def test_an_import_that_is_not_public_is_noticed(text):
    assert len(list(outside_the_api(ast.parse(text)))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "from mtlkit import Recipe",
        "from mtlkit.plugins import Registrar",
        "from mtlkit_face.plugin import anything",
        "from .plugin import anything",
        "import attrs",
    ],
)
def test_a_public_import_is_none(text):
    assert not list(outside_the_api(ast.parse(text)))


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_no_public_name_is_that_of_a_module(namespace):
    """Importing the module would replace the public object by the module."""
    folder = Path(importlib.import_module(namespace).__file__).parent
    modules = {path.stem for path in folder.glob("*.py")}
    assert not PLUGIN_API[namespace] & modules


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("from mtlkit import CAGrad", "name 'CAGrad'; use mtlkit.weightings.CAGrad"),
        ("from mtlkit import MMOE", "name 'MMOE'; did you mean mtlkit.routers.MMoE?"),
        ("from mtlkit.weightings import CAGard", "name 'CAGard'; did you mean 'CAGrad'?"),
        ("from mtlkit import zzzz", "cannot import name 'zzzz' from 'mtlkit'"),
    ],
)
def test_an_import_of_an_unknown_name_suggests_one(line, message):
    with pytest.raises(ImportError, match=re.escape(message)):
        exec(line)


def test_a_module_that_is_not_public_is_still_imported_from_its_package():
    done = subprocess.run(
        [sys.executable, "-c", "from mtlkit import checksums; from mtlkit.plugins import hooks"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
