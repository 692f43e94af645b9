"""Compiler reports of the Triton kernels, without a GPU, as a Markdown table.

    python benchmarks/ops/kernels_compiled.py > benchmarks/results/kernels.md

A kernel's registers are those of a thread; spills are in bytes. `resident` is the number of
programs that fit a multiprocessor, and `loop` the share of the inner loop's instructions that are
products: of matrices on tensor cores, of numbers elsewhere.
"""

import datetime
import os
import tempfile
from unittest import mock

import torch
import triton
from compiled import GPUS, KERNELS, TYPES, Sizes, compiled, started

COLUMNS = (
    "kernel", "type", "GPU", "programs", "block", "registers", "spilled", "shared KiB", "warps",
    "stages", "resident", "products by", "loop", "copies ahead",
)  # fmt: skip


def table():
    """Yield a line for each kernel, type and GPU."""
    yield COLUMNS
    yield ["---"] * len(COLUMNS)
    for name in KERNELS:
        for dtype in (torch.bfloat16, torch.float16, torch.float32):
            for card, gpu in GPUS.items():
                yield line(name, dtype, card, gpu)


def line(name, dtype, card, gpu):
    """Return the values of a kernel, in the order of the columns."""
    call = started(gpu, dtype)[name]
    kernel = compiled(name, call, gpu)
    block = [str(value) for key, value in call.named.items() if key.startswith("BLOCK")]
    size, products = kernel.loop
    options = kernel.options
    return (
        f"`{name}`", TYPES[dtype], f"{card} ({gpu.capability})", " x ".join(map(str, call.grid)),
        " x ".join(block), kernel.registers, kernel.spilled, f"{kernel.shared / 1024:.0f}",
        options["num_warps"], options["num_stages"], kernel.resident, kernel.products,
        f"{products} of {size}" if kernel.copies else "", kernel.copies or "",
    )  # fmt: skip


def main():
    """Print the table."""
    sizes = Sizes()
    print("# The kernels, compiled and not run\n")
    print(
        f"{datetime.date.today()}, by `benchmarks/ops/kernels_compiled.py`: triton "
        f"{triton.__version__}, torch {torch.__version__}. {sizes.rows} rows of {sizes.features} "
        f"features, {sizes.classes:,} classes; small heads of {sizes.heads} classes, the last a "
        f"gate. With a bias, without a scale.\n"
    )
    with (
        tempfile.TemporaryDirectory() as cache,
        mock.patch.dict(os.environ, TRITON_CACHE_DIR=cache),
    ):
        for cells in table():
            print("|", *(f"{cell} |" for cell in cells))


if __name__ == "__main__":
    main()
