"""Triton kernels compiled for a GPU, without that GPU.

The ops are called on tensors without memory, and a mock records how they start their kernels. The
recorded starts are compiled as Triton does on the GPU: with the same types, constants, alignments
and options. Nothing runs.
"""

import inspect
import re
import subprocess
import tempfile
from typing import NamedTuple
from unittest import mock

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

import mtlkit.ops.triton
from mtlkit.ops.kernels import triton_config
from mtlkit.ops.triton import kernels
from mtlkit.ops.triton.heads import small_heads, small_heads_backward
from mtlkit.ops.triton.linear import triton_negatives, triton_negatives_backward
from mtlkit.ops.triton.saved import negatives_of_logits, negatives_of_logits_backward

KERNELS = {k: f for k, f in vars(kernels).items() if k[0] != "_" and callable(f)}
OPTIONS = {"num_warps": 4, "num_stages": 3, "maxnreg": None}
TYPES = {
    torch.bfloat16: "bf16", torch.float16: "fp16", torch.float32: "fp32", torch.int64: "i64",
}  # fmt: skip
GPUS = {
    "A100": triton_config.Gpu(80, 108),
    "A40": triton_config.Gpu(86, 84),
    "L40": triton_config.Gpu(89, 142),
    "H100": triton_config.Gpu(90, 132),
    "B200": triton_config.Gpu(100, 148),
}
SHARED = {80: 163, 86: 99, 89: 99, 90: 227, 100: 227}
"""KiB of shared memory that a block may have; a multiprocessor has 1 more and keeps 1 for each."""

THREADS = {80: 2048, 86: 1536, 89: 1536, 90: 2048, 100: 2048}


PRODUCT = re.compile(r"\b(HMMA|HGMMA|UTCHMMA|FFMA)")


class Sizes(NamedTuple):
    """Sizes of a call: classes of a linear map and of each head; matrices start at `begin`."""

    rows: int = 512
    features: int = 512
    classes: int = 10_000
    heads: tuple[int, ...] = (200, 20, 20, 13, 3)
    begin: int = 0


class Start(NamedTuple):
    """A kernel's start: how many programs, and its positional and named arguments."""

    grid: tuple[int, ...]
    given: tuple
    named: dict


class Compiled(NamedTuple):
    """A kernel for a GPU: registers of a thread, bytes of local and of shared memory, its code."""

    registers: int
    spilled: int
    shared: int
    options: dict
    resident: int
    code: dict

    @property
    def products(self):
        """Instruction of the tensor cores' products; empty if there are none."""
        match = re.search(r"mma\.sync|wgmma\.mma_async|tcgen05\.mma", self.code["ptx"])
        return match[0] if match else ""

    @property
    def copies(self):
        """Number of asynchronous copies to shared memory."""
        return len(re.findall(r"cp\.async\.c[ag]", self.code["ptx"]))

    @property
    def loop(self):
        """Number of instructions of the loop densest in products, and of its products."""
        sass = _told_of(self.code["cubin"], "-sass")
        lines = re.findall(r"/\*([0-9a-f]{4,})\*/ +([^;/]+);", sass)
        placed = [(int(place, 16), text) for place, text in lines]
        loops = [(0, 1)]
        for last, text in placed:
            jump = re.search(r"\bBRA\b.* 0x([0-9a-f]+)", text)
            if jump and int(jump[1], 16) < last:
                body = [text for place, text in placed if int(jump[1], 16) <= place <= last]
                loops.append((sum(bool(PRODUCT.search(text)) for text in body), len(body)))
        products, size = max(loops, key=lambda counts: counts[0] / counts[1])
        return size, products


def started(gpu, dtype, sizes=Sizes(), biased=True, cosine=False):  # noqa: B008
    """Return the start of every kernel on `gpu`, by name."""

    def matrix(*shape):
        length = torch.Size(shape).numel() + sizes.begin
        return torch.empty(length, dtype=dtype, device="meta")[sizes.begin :].view(shape)

    rows, features, classes, heads, _ = sizes
    x, weight, bias = matrix(rows, features), matrix(classes, features), matrix(classes)
    target = torch.empty(rows, dtype=torch.int64, device="meta")
    number = torch.empty(rows, device="meta")
    linear = (x, weight, bias if biased else None, target, cosine)
    needs = [True, True, biased]
    parts, several = [matrix(size, features) for size in heads], target.expand(len(heads) - 1, -1)
    notes = mock.MagicMock(INTERPRETED=False)
    with (
        mock.patch.object(mtlkit.ops.triton, "kernels", notes),
        mock.patch.object(triton_config, "H100", gpu),
    ):
        triton_negatives.function(*linear)
        triton_negatives_backward.function(*linear, number, number, number, needs)
        *_, z = negatives_of_logits.function(*linear)
        negatives_of_logits_backward.function(*linear, number, z, number, number, needs)
        *_, kept = small_heads.function(x, parts, [matrix(h) for h in heads], several, 0.1)
        shares = matrix(heads[-1], rows).float()
        small_heads_backward.function(x, parts, several, 0.1, [kept], several.float(), shares, True)
    return {name: _first(getattr(notes, name).__getitem__) for name in KERNELS}


def _first(of_grid):
    """Return the first start of a kernel, from the mock that returns it for a grid."""
    (grid,), (given, named) = of_grid.call_args_list[0].args, of_grid.return_value.call_args_list[0]
    return Start(grid, given, named)


def source(name, start):
    """Return Triton's source of a start: types, constants and aligned arguments."""
    kernel = KERNELS[name]
    rest = {key: value for key, value in start.named.items() if key not in OPTIONS}
    arguments = inspect.signature(kernel.fn).bind(*start.given, **rest).arguments
    signature, constants, aligned = {}, {}, {}
    for place, (param, value) in enumerate(zip(kernel.params, arguments.values(), strict=True)):
        signature[param.name] = _type(value)
        if param.is_constexpr or value is None or (isinstance(value, int) and value == 1):
            signature[param.name], constants[place,] = "constexpr", value
        elif _aligned(value):
            aligned[place,] = [["tt.divisibility", 16]]
    return ASTSource(kernel, signature, constants, aligned)


def compiled(name, start, gpu):
    """Compile a kernel for a start on `gpu`."""
    options = OPTIONS | {key: value for key, value in start.named.items() if key in OPTIONS}
    target = GPUTarget("cuda", gpu.capability, 32)
    whole = triton.compile(source(name, start), target=target, options=options)
    usage = _told_of(whole.asm["cubin"], "-res-usage")
    registers, spilled = map(int, re.search(r"REG:(\d+) STACK:(\d+)", usage).groups())
    shared, threads = whole.metadata.shared, 32 * options["num_warps"]
    resident = min(
        2**16 // (-(-registers // 8) * 8 * threads), THREADS[gpu.capability] // threads,
        (SHARED[gpu.capability] + 1) * 1024 // (shared + 1024),
    )  # fmt: skip
    return Compiled(registers, spilled, shared, options, resident, whole.asm)


def _told_of(cubin, what):
    """Return the output of NVIDIA's cuobjdump, which Triton includes, for a compiled kernel."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        command = [triton.knobs.nvidia.cuobjdump.path, what, file.name]
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout


def _type(value):
    if isinstance(value, torch.Tensor):
        return f"*{TYPES[value.dtype]}"
    return "fp32" if isinstance(value, float) else "i32"


def _aligned(value):
    if isinstance(value, torch.Tensor):
        return value.storage_offset() * value.itemsize % 16 == 0
    return isinstance(value, int) and value % 16 == 0
