"""The Triton kernels, in their own process: the interpreter is chosen when they are loaded."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mtlkit.errors import ImplementationError
from mtlkit.ops import linear_cross_entropy, multi_head_cross_entropy

HERE = Path(__file__).parent


def run(*arguments):
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    if not torch.cuda.is_available():
        env["TRITON_INTERPRET"] = "1"
    return subprocess.run(
        [sys.executable, *arguments], env=env, capture_output=True, text=True, cwd=HERE.parents[1]
    )


def test_the_kernels_are_the_definitions():
    done = run("-m", "pytest", "-q", "-p", "no:cacheprovider", str(HERE / "interpreted.py"))
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout


@pytest.mark.skipif(torch.cuda.is_available(), reason="the interpreter is for machines without")
def test_the_interpreter_computes_bfloat16_only_where_we_raise_it(tmp_path):
    """Why the kernels have UPCAST: if this ever fails, it can go."""
    code = (
        "import json, torch, triton, triton.language as tl\n"
        "from mtlkit.ops.triton.kernels import _product\n"
        "@triton.jit\n"
        "def product(x, w, out, UPCAST: tl.constexpr):\n"
        "    i = tl.arange(0, 16)\n"
        "    z = _product(x, w, i, i, 16, 16, 16, 16, 16, 16, UPCAST)\n"
        "    tl.store(out + i[:, None] * 16 + i[None, :], z)\n"
        "x, out = torch.randn(16, 16).bfloat16(), torch.empty(2, 16, 16)\n"
        "for up in (0, 1): product[(1,)](x, x, out[up], UPCAST=bool(up))\n"
        "print(json.dumps((out - x.float() @ x.float().T).abs().amax((1, 2)).tolist()))\n"
    )
    path = tmp_path / "product.py"  # Triton reads its kernels from a file
    path.write_text(code)
    done = run(str(path))
    assert done.returncode == 0, done.stderr
    plain, raised = json.loads(done.stdout)
    assert raised < 1e-4
    assert not plain < 1.0


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU can run them")
def test_without_a_gpu_they_say_what_they_need():
    x, target = torch.randn(3, 4), torch.zeros(3, dtype=torch.long)
    with pytest.raises(ImplementationError, match="Triton needs a GPU; on a CPU set TRITON_INTER"):
        linear_cross_entropy(x, torch.randn(5, 4), target, implementation="triton")
    with pytest.raises(ImplementationError, match="the kernel is for 256 classes in all, these "):
        multi_head_cross_entropy(x, [torch.randn(300, 4)], [target], implementation="triton")


def test_the_kernels_are_imported_only_to_run():
    code = (
        "import sys; from mtlkit.ops.dispatch.table import builtin_ops; builtin_ops(); "
        "print('mtlkit.ops.triton.kernels' in sys.modules)"
    )
    assert run("-c", code).stdout.strip() == "False"
