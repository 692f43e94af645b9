"""The tables of docs/architecture.md and docs/reference/recipe.md agree with the code."""

import re
import tomllib
from enum import Enum
from pathlib import Path

import attrs
import pytest
import yaml

from mtlkit import Recipe, Task, Train, Transforms, load_catalog
from mtlkit.component import Component

ROOT = Path(__file__).parents[2]


def rows_below(page, heading):
    """Return the rows of the table below `heading`, each as a list of cells."""
    section = (ROOT / page).read_text("utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    table = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)[0]
    return [row.strip("| ").split(" | ") for row in table.splitlines()[2:]]


def test_the_layers_are_those_of_the_contract():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    [layers] = [c["layers"] for c in contracts["contracts"] if c["id"] == "layers"]
    rows = rows_below("docs/architecture.md", "Layers")
    described = [set(re.findall(r"`(\w+)`", row[0])) for row in rows]
    assert described == [set(layer.split(" | ")) for layer in layers]


def test_the_files_that_the_page_names_exist():
    page = (ROOT / "docs/architecture.md").read_text("utf-8")
    paths = re.findall(r"`((?:plugins|ops|training|recipe_io)/[\w/-]+(?:\.py)?)`", page)
    assert len(paths) > 4
    missing = [p for p in paths if not ((ROOT / p).exists() or (ROOT / "mtlkit" / p).exists())]
    assert missing == []


@pytest.mark.parametrize("value", [Recipe, Task, Train, Transforms])
def test_every_recipe_key_is_described_with_its_default(value):
    rows = rows_below("docs/reference/recipe.md", value.__name__)
    shown = {key.strip("`"): default.strip("`") for key, default, _ in rows}
    assert list(shown) == [field.name for field in attrs.fields(value)]
    catalog = load_catalog("none")
    names = {
        registry.get(e.name): e.name for registry in catalog.families().values() for e in registry
    }
    for field in attrs.fields(value):
        default = field.default
        if default is attrs.NOTHING:
            assert shown[field.name] == "required"
            continue
        if isinstance(default, attrs.Factory):
            default = default.factory()
        if isinstance(default, Train | Transforms):
            continue
        assert yaml.safe_load(shown[field.name]) == plain(default, names), field.name


def plain(value, names):
    """Return `value` as YAML spells it, a component by its name alone."""
    if isinstance(value, Component):
        return names[type(value)]
    if isinstance(value, tuple):
        return [plain(item, names) for item in value]
    return value.value if isinstance(value, Enum) else value
