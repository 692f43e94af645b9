"""What is known of the Triton kernels without a GPU, as a Markdown table.

    python benchmarks/ops/kernels_compiled.py > benchmarks/results/kernels.md

A kernel's registers are those of a thread; what it spilled of them is in bytes. `resident` is how
many programs fit a multiprocessor, and `loop` how many of the instructions of the inner loop are
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
    """A line for each kernel, type and GPU."""
    yield COLUMNS
    yield ["---"] * len(COLUMNS)
    for name in KERNELS:
        for dtype in (torch.bfloat16, torch.float16, torch.float32):
            for card, gpu in GPUS.items():
                yield line(name, dtype, card, gpu)


def line(name, dtype, card, gpu):
    """What is known of a kernel, in the order of the columns."""
    call = started(gpu, dtype)[name]
    found = compiled(name, call, gpu)
    block = [str(value) for key, value in call.named.items() if key.startswith("BLOCK")]
    size, products = found.loop
    options = found.options
    return (
        f"`{name}`", TYPES[dtype], f"{card} ({gpu.capability})", " x ".join(map(str, call.grid)),
        " x ".join(block), found.registers, found.spilled, f"{found.shared / 1024:.0f}",
        options["num_warps"], options["num_stages"], found.resident, found.products,
        f"{products} of {size}" if found.copies else "", found.copies or "",
    )  # fmt: skip


def main():
    """Print it."""
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
