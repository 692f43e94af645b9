"""The migration page names every public name of plugin API 1.x, and where it is now."""

import ast
import re
from pathlib import Path

import pytest

from mtlkit.namespace import NAMESPACES, public_names

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "guide" / "migrate.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(mtlkit[\w.]*)` \| (.*) \| `(mtlkit[\w.]*)` \|$", PAGE, re.MULTILINE)
FROZEN = ROOT / "tests" / "frozen" / "api_1_0" / "mtlkit_first"


def moved():
    """Yield the module and the name of API 1.x, and the namespace and the name of API 2.0."""
    for module, names, namespace in ROWS:
        for cell in names.split(", "):
            match = re.fullmatch(r"`(\w+)`(?: → `(\w+)`)?", cell)
            yield module, match[1], namespace, match[2] or match[1]


@pytest.mark.parametrize("namespace", sorted({row[2] for row in ROWS}))
def test_every_new_name_is_public(namespace):
    names = {name for _, _, new, name in moved() if new == namespace}
    assert namespace in NAMESPACES
    assert names <= set(public_names(namespace))


def test_no_row_is_for_a_name_that_stays():
    assert [row for row in moved() if row[:2] == row[2:]] == []


@pytest.mark.parametrize("path", sorted(FROZEN.glob("*.py")), ids=lambda path: path.name)
def test_it_has_every_name_that_a_plugin_for_api_1_imports(path):
    table = {(module, name) for module, name, _, _ in moved()}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mtlkit."):
            for alias in node.names:
                assert (node.module, alias.name) in table, (node.module, alias.name)
