"""What docs/explanation/weighting.md shows is run."""

import re
from pathlib import Path

import pytest

from mtlkit.plugins.catalog import load_catalog
from mtlkit.recipe_io.structuring import new_converter
from mtlkit.recipe_io.yaml_reader import read_yaml
from mtlkit.weightings import Weighting

PAGE = (Path(__file__).parents[2] / "docs/explanation/weighting.md").read_text(encoding="utf-8")


def test_its_python_runs_in_order():
    space = {}
    for code in re.findall(r"```python\n(.*?)```", PAGE, re.S):
        exec(compile(code, "docs/explanation/weighting.md", "exec"), space)
    assert space["weights"].shape == (2,)


@pytest.mark.parametrize("line", re.findall(r"^weighting: (\{.*\})", PAGE, re.M))
def test_its_recipes_are_read(line, catalog):
    assert isinstance(
        new_converter(catalog).structure(read_yaml(line, "page"), Weighting), Weighting
    )


def test_its_table_names_weightings():
    table = PAGE.split("## What each kind reads")[1].split("`rlw` is")[0]
    rows = [row.split("|")[3] for row in table.splitlines() if row.startswith("| ")][1:]
    names = re.findall(r"[a-z][\w/-]+", re.sub(r"db-mtl with momentum", "db-mtl", ";".join(rows)))
    known = load_catalog("torchjd").weightings.names()
    assert len(names) > 30
    assert [n for n in names if n not in known and f"torchjd/{n}" not in known] == []
