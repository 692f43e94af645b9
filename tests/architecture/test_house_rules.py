"""The rules of the house that a program can check; each check is shown to notice an offence."""

import ast
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from mtlkit.plugins.families import FAMILIES

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted([*(ROOT / "mtlkit").rglob("*.py"), *(ROOT / "plugins").glob("*/mtlkit_*/**/*.py")])

MAX_LINES = 300
LONGER: dict[str, tuple[int, str]] = {}
"""Files that may be longer: their limit, and why."""

UNPICKLING = {
    "mtlkit/testing/checks/metrics.py": "the check of merged states reads its own pickle",
    "mtlkit/testing/values.py": "the check that a component pickles reads its own pickle",
    "plugins/mtlkit-benchmarks/mtlkit_benchmarks/photos/pickled_arrays.py": (
        "the data of Pareto MTL are a pickle: five functions that build arrays may be named"
    ),
    "plugins/mtlkit-face/mtlkit_face/protocols/pairs/guarded_pickle.py": (
        "sets of pairs are pickles: each instruction is looked at first, every name has a stand-in"
    ),
}
"""Files that may read a pickle, and why: none that comes from elsewhere calls what it names."""

FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def too_long(name: str, text: str) -> bool:
    limit, _ = LONGER.get(name, (MAX_LINES, ""))
    return len(text.splitlines()) > limit


def offences(tree: ast.AST) -> Iterator[str]:
    """What no file of ours contains."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="hasattr")):
                yield f"line {node.lineno}: hasattr"
            case ast.ExceptHandler(type=None):
                yield f"line {node.lineno}: bare except"
            case ast.Global():
                yield f"line {node.lineno}: global"
            case ast.Attribute(value=ast.Name(id="pickle"), attr="load" | "loads" | "Unpickler"):
                yield f"line {node.lineno}: pickle"
            case ast.Call(func=ast.Attribute(value=ast.Name(id="torch"), attr="load")):
                safe = any(
                    keyword.arg == "weights_only"
                    and isinstance(keyword.value, ast.Constant)
                    and keyword.value.value is True
                    for keyword in node.keywords
                )
                if not safe:
                    yield f"line {node.lineno}: torch.load without weights_only=True"


def environment_readers(tree: ast.AST) -> bool:
    return any(
        isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
        for node in ast.walk(tree)
    )


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_a_file(path):
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert not too_long(named(path), text)
    assert path.stem not in FORBIDDEN_NAMES
    excused = "pickle" if named(path) in UNPICKLING else "nothing"
    assert not [line for line in offences(tree) if not line.endswith(excused)]
    if text.strip():
        assert ast.get_docstring(tree), "a module says what it is"


def test_only_families_have_more_than_20_modules():
    families = {f"mtlkit/{family.plural}" for family in FAMILIES}
    families.add("plugins/mtlkit-hello/mtlkit_hello")
    modules = Counter(named(path.parent) for path in SOURCES if path.name != "__init__.py")
    assert {folder for folder, count in modules.items() if count > 20} <= families


def test_there_are_files_to_look_at():
    assert len(SOURCES) > 50
    assert all((ROOT / name).exists() and reason for name, (_, reason) in LONGER.items())
    assert all((ROOT / name).exists() and reason for name, reason in UNPICKLING.items())


def test_the_environment_is_read_at_the_top_only():
    allowed = (
        "mtlkit/cli/",
        "mtlkit/plugins/",
        "mtlkit/ops/dispatch/choice.py",
        "mtlkit/ops/dispatch/estimate.py",
        "plugins/",
    )
    readers = [named(path) for path in SOURCES if environment_readers(ast.parse(path.read_text()))]
    assert [name for name in readers if not name.startswith(allowed)] == []


@pytest.mark.parametrize(
    "text",
    [
        "hasattr(x, 'y')",
        "try:\n    x\nexcept:\n    y",
        "def f():\n    global x",
        "pickle.load(f)",
        "pickle.loads(b)",
        "pickle.Unpickler(f).load()",
        "torch.load(f)",
        "torch.load(f, weights_only=False)",
    ],
)
def test_an_offence_is_noticed(text):
    assert list(offences(ast.parse(text)))


def test_innocence_is_noticed():
    assert not list(offences(ast.parse("torch.load(f, weights_only=True)\ngetattr(x, 'y')")))


def test_a_long_file_is_noticed():
    assert too_long("mtlkit/x.py", "x\n" * (MAX_LINES + 1))
    assert not too_long("mtlkit/x.py", "x\n" * MAX_LINES)


HEAVY = {"torch", "timm", "torchvision", "matplotlib", "numpy", "PIL", "pyarrow"}


def imported_by(code: str) -> set[str]:
    """The modules of a fresh interpreter that ran `code`."""
    probe = f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    "code",
    [
        "import mtlkit",
        "import mtlkit.weightings, mtlkit.ops, mtlkit.testing",
        "import mtlkit; mtlkit.load_catalog('none')",
        "import mtlkit; mtlkit.load_catalog('all')",
    ],
)
def test_the_namespaces_and_the_catalog_import_nothing_heavy(code):
    assert not imported_by(code) & HEAVY
