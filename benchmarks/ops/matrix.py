"""The matrix of benchmarks: cells and their sizes, on a CPU and on a GPU."""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from absent import absent_gpu
from cells import FLOOR, Cell, feature_gradients, grouped, heads, linear, margin, match

COMPILED = ("textbook", "compiled", "auto", FLOOR)
"""torch.compile takes seconds before its first call, so it is in one cell alone."""


def cpu() -> Iterator[Callable[[], Cell]]:
    """Yield the cells of `make bench`, in ten minutes; the largest come last, with a round each."""
    for features in (512, 320):
        for rows, classes in ((512, 200), (4096, 200), (512, 10_000)):
            yield partial(linear, rows, features, classes, seconds=classes / 1_000 + 2)
    yield partial(linear, 4096, 512, 10_000)
    yield partial(linear, 512, 512, 1_000)
    yield partial(linear, 512, 512, 10_000, only=COMPILED, memory=False)
    for mode in ("forward", "tasks"):
        yield partial(linear, 512, 512, 10_000, mode=mode)
    for classes in (200, 10_000):
        yield partial(linear, 512, 512, classes, reduction="none")
    yield partial(linear, 512, 512, 10_000, dtype=torch.bfloat16)
    yield partial(heads, 4096, (13, 20, 7, 4), True)
    yield partial(heads, 512, (13, 20, 7, 4), True)
    yield partial(heads, 4096, (200, 13, 20, 7), True)
    for rows, classes in (
        (512, (200, 13, 20, 7)),
        (4096, (200, 13, 20, 7)),
        (512, (10_000, 13, 20, 7)),
    ):
        yield partial(feature_gradients, rows, classes)
    for rows, classes in ((512, 200), (4096, 200), (512, 10_000)):
        yield partial(grouped, rows, classes, (1.0, 1.0, 1.0))
    yield partial(grouped, 4096, 200, (0.8, 0.15, 0.05))
    for classes in (200, 10_000):
        yield partial(margin, 512, classes)
    yield partial(match, 1_000, 10_000)
    yield partial(linear, 512, 512, 100_000, seconds=30.0)
    yield partial(linear, 4096, 320, 10_000, seconds=0.0, rounds=1)
    yield partial(linear, 512, 320, 100_000, seconds=0.0, rounds=1)
    # each call takes a quarter of a minute, so each way has one
    yield partial(
        linear, 4096, 512, 100_000, only=("textbook", "fused-grad", "native", FLOOR), memory=False,
        seconds=0.0, rounds=1, cold=True,
    )  # fmt: skip


def named(part: Callable[..., Cell]) -> tuple[str, str]:
    """Return the op and the title of a cell, without allocating its tensors."""
    with absent_gpu() as gpu:
        gpu.warming = True
        cell = part(device="meta")
    return cell.op, cell.title


def gpu(device="cuda", dtype=torch.bfloat16, shrink=1) -> Iterator[Callable[[], Cell]]:
    """Yield the cells of `make bench-gpu`, without matrices of logits that would fill the memory.

    Tests on a machine without a GPU run them on a CPU, smaller by the factor `shrink`.
    """
    low = {"device": device, "dtype": dtype}

    def small(size):
        return min(size, max(8, size // shrink))

    for features in (512, 320):
        for rows in (512, 4096):
            for classes in (200, 10_000, 100_000, 1_000_000):
                logits = rows * classes
                reason = f"a matrix of {logits / 1e9:.1f} billion logits"
                large = ("textbook", "eager", "saved-softmax") if logits > 2**31 else ()
                sizes = map(small, (rows, features, classes))
                yield partial(linear, *sizes, left_out=dict.fromkeys(large, reason), **low)
    sizes = map(small, (4096, 512, 10_000))
    yield partial(linear, *sizes, only=COMPILED, memory=False, **low)
    low["features"] = small(512)
    for rows in (512, 4096):
        yield partial(heads, small(rows), tuple(map(small, (13, 20, 7, 4))), True, **low)
        yield partial(heads, small(rows), tuple(map(small, (200, 13, 20, 7))), True, **low)
        yield partial(grouped, small(rows), small(200), (1.0, 1.0, 1.0), **low)
        yield partial(margin, small(rows), small(10_000), **low)
    yield partial(margin, small(4096), small(100_000), **low)
    yield partial(feature_gradients, small(4096), tuple(map(small, (200, 13, 20, 7))), **low)
    yield partial(match, small(1_000), small(10_000), classes=small(512), device=device)
