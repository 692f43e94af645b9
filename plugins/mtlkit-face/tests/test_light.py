"""Reading a recipe imports neither the compiler of the renderer nor the library of the pictures."""

import subprocess
import sys

from mtlkit_face.cli import RECIPES

EXPLAIN = """
import sys
from mtlkit.cli import main
try:
    main(["explain", sys.argv[1]])
finally:
    sys.exit(",".join({"numba", "matplotlib", "scipy", "timm"} & sys.modules.keys()) or 0)
"""


def test_explaining_the_demo_imports_neither_numba_nor_matplotlib():
    command = [sys.executable, "-c", EXPLAIN, str(RECIPES / "demo-p-cnn.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "weighting" in done.stdout
    assert done.stderr.strip() == ""
