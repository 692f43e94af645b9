"""The disk cache of compiled kernels follows every source file of the generator."""

import shutil
import subprocess
import sys
from pathlib import Path

from mtlkit_synthetic_faces import compiled

CALLED = """
from {package}.compiled import compiled
@compiled
def inner(x):
    return x * {factor}
"""
CALLING = """
from {package}.compiled import compiled
from {package}.inner import inner
@compiled
def outer(x):
    return inner(x) + 1.0
print(outer(1.0))
"""


def test_a_kernel_is_compiled_again_when_one_that_it_calls_changes(tmp_path: Path) -> None:
    package = tmp_path / "kernels"
    package.mkdir()
    shutil.copy(compiled.__file__, package / "compiled.py")
    (package / "outer.py").write_text(CALLING.format(package="kernels"))
    results = []
    for factor in ("2.0", "2.0", "30.0"):
        (package / "inner.py").write_text(CALLED.format(package="kernels", factor=factor))
        done = subprocess.run(
            [sys.executable, "-c", "import kernels.outer"],
            cwd=tmp_path, capture_output=True, text=True, check=True,
        )  # fmt: skip
        cached = len(list((package / "__pycache__").glob("outer.outer*.nbi")))
        results.append((float(done.stdout), cached))
    assert results == [(3.0, 1), (3.0, 1), (31.0, 2)]
