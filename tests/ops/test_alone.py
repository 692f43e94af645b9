"""The ops can be used without the rest of mtlkit: no catalog, no components, no recipe."""

import ast
import subprocess
import sys
from pathlib import Path

import mtlkit.ops

ROOT = Path(mtlkit.ops.__file__).parent


def test_they_import_only_the_errors_and_the_lazy_namespace():
    """Imports for type checkers count."""
    imported = {
        node.module
        for path in ROOT.rglob("*.py*")
        if path.suffix in (".py", ".pyi")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module
    }
    outside = {
        module
        for module in imported
        if module.startswith("mtlkit") and not module.startswith("mtlkit.ops")
    }
    assert outside == {"mtlkit.errors", "mtlkit.namespace"}


def test_a_call_loads_no_plugin_and_no_component():
    code = (
        "import sys, torch\n"
        "from mtlkit import ops\n"
        "x = torch.ones(2, 3)\n"
        "with ops.use(gate='eager'):\n"
        "    ops.gate(x, x)\n"
        "names = ('mtlkit.plugins', 'mtlkit.component', 'mtlkit.recipe', 'mtlkit_hello')\n"
        "print([name for name in names if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_list_of_ops_needs_no_torch():
    code = (
        "import sys\n"
        "from mtlkit.plugins.catalog import load_catalog\n"
        "names = load_catalog('none').ops.names()\n"
        "print(len(names), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "9 False\n"
