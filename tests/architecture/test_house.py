"""The measures of the source are right for a small tree with known cycles, names and functions."""

import importlib
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"

TREE = {
    "mtlkit/__init__.py": "",
    "mtlkit/model.py": (
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from mtlkit.heads.skewed import Skewed\n"
        "class Model: ...\nclass _Hidden: ...\n"
    ),
    "mtlkit/heads/__init__.py": "from .skewed import Skewed\n",
    "mtlkit/heads/skewed.py": (
        "from mtlkit import model\n"
        "from mtlkit.heads import base\n"
        "class Skewed: ...\n"
        "def _once():\n    return 1\n"
        "def _twice():\n    return _once()\n"
        "def public():\n    return _twice() + _twice()\n"
    ),
    "mtlkit/heads/base.py": (
        "import torch\nclass Base: ...\nclass _Hidden: ...\n"
        "def late():\n    import mtlkit.routers.plain\n\n    return mtlkit\n"
    ),
    "mtlkit/routers/__init__.py": "",
    "mtlkit/routers/plain.py": "from ..heads.skewed import Skewed, public\nclass Plain: ...\n",
    "plugins/mtlkit-new/mtlkit_new/__init__.py": "",
    "plugins/mtlkit-new/mtlkit_new/plugin.py": (
        "from mtlkit.heads.base import Base\nfrom mtlkit.model import Model\n"
        "from mtlkit_new import other\nclass Skewed: ...\n"
    ),
    "plugins/mtlkit-new/mtlkit_new/other.py": "X = 1\n",
    "plugins/mtlkit-new/tests/test_new.py": "import mtlkit.routers.plain\n",
    "tests/test_heads.py": "HEADS = ['skewed', \"skewed\"]\n",
    "tests/test_nothing.py": "skewed = Skewedly = 'skewed-svd'\n",
    "docs/heads.md": "    head: {type: skewed}\n",
    "docs/_build/heads.md": "`skewed`\n",
    "README.md": "The class Skewed, and Base.\n",
}
ALL, TOP = "all imports", "top level and TYPE_CHECKING"


@pytest.fixture
def house(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("house")


@pytest.fixture
def root(tmp_path):
    for name, text in TREE.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.fixture
def structure(house, root):
    return house.structure(house.read_modules(root))


def test_files_lines_and_functions(house, root):
    measures = house.sizes(house.read_modules(root))
    files = ("mtlkit/model.py", *(f"mtlkit/heads/{name}.py" for name in ("__init__", "skewed")))
    files = (*files, "mtlkit/heads/base.py", "mtlkit/routers/plain.py")
    lengths = sorted(TREE[name].count("\n") for name in files)
    assert measures["files, mtlkit"] == 5
    assert measures["lines, mtlkit"] == sum(lengths)
    assert measures["median file length, mtlkit"] == lengths[2]
    assert measures["maximum file length, mtlkit"] == lengths[-1]
    assert (measures["files, mtlkit.heads"], measures["files, mtlkit_new"]) == (3, 2)
    assert measures["longest functions"][0] == "late (mtlkit/heads/base.py): 4"
    assert measures["longest function, lines"] == 4
    assert measures["modules per folder, maximum"] == 2
    assert measures["folders of more than 20 modules"] == []


def test_a_folder_of_too_many_modules(house, root):
    for number in range(20):
        (root / f"mtlkit/routers/r{number}.py").write_text("X = 1\n")
    measures = house.sizes(house.read_modules(root))
    assert measures["folders of more than 20 modules"] == ["mtlkit/routers: 21"]


def test_cycles(structure):
    two = ["mtlkit.heads.skewed", "mtlkit.model"]
    late = ["mtlkit.heads.base", *two, "mtlkit.routers.plain"]
    assert structure[f"largest import cycle, modules, {TOP}"] == two
    assert structure[f"largest import cycle, modules, {ALL}"] == late
    pairs = ["mtlkit.heads <-> mtlkit.model", "mtlkit.heads <-> mtlkit.routers"]
    assert structure[f"packages that import each other, {TOP}"] == pairs[:1]
    assert structure[f"packages that import each other, {ALL}"] == pairs


def test_a_stub_counts_as_imports_of_its_module(house, root):
    (root / "mtlkit/heads/base.pyi").write_text("from mtlkit.heads import Skewed\n")
    measures = house.structure(house.read_modules(root))
    assert measures[f"largest import cycle, modules, {TOP}"] == [
        "mtlkit.heads",
        "mtlkit.heads.base",
        "mtlkit.heads.skewed",
        "mtlkit.model",
    ]


def test_names(structure):
    assert structure["modules of mtlkit that plugins import"] == [
        "mtlkit.heads.base",
        "mtlkit.model",
    ]
    assert structure["public class names defined more than once"] == [
        "Skewed: mtlkit.heads.skewed, mtlkit_new.plugin"
    ]
    assert structure["private functions referenced once"] == ["mtlkit/heads/skewed.py: _once"]


def test_files_that_mention_a_component(house, root):
    components = [
        ("heads", "skewed", "mtlkit.heads.skewed:Skewed"),
        ("heads", "base", "mtlkit.heads.base:Base"),
        ("routers", "plain", "mtlkit.routers.plain:Plain"),
    ]
    measures = house.files_touched(root, components)
    skewed = measures["files per component, heads, maximum"]
    assert skewed == [
        "README.md",
        "docs/heads.md",
        "mtlkit/heads/__init__.py",
        "mtlkit/heads/skewed.py",
        "mtlkit/model.py",
        "mtlkit/routers/plain.py",
        "tests/test_heads.py",
    ]
    assert measures["files per component, heads, component of the maximum"] == "skewed"
    assert measures["files per component, heads, minimum"] == 2
    assert measures["files per component, heads, median"] == 4.5
    assert measures["files per component, routers, maximum"] == ["mtlkit/routers/plain.py"]


def test_the_table_compares(house):
    before, after = {"lines": 9, "gone": 1}, {"lines": 7, "twice": ["A", "B"]}
    assert house.markdown(after, before).splitlines() == [
        "| measure | before | after |",
        "|---|---:|---:|",
        "| lines | 9 | 7 |",
        "| twice | - | 2 |",
        "| gone | 1 | - |",
        "",
        "**twice**: A; B",
    ]


def test_the_source_has_no_cycle_of_packages_and_no_class_name_twice(house):
    measures = house.structure(house.read_modules(BENCHMARKS.parent))
    assert measures[f"packages that import each other, {ALL}"] == []
    assert len(measures[f"largest import cycle, modules, {ALL}"]) <= 10
    assert measures["public class names defined more than once"] == []
