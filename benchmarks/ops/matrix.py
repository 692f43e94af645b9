"""The matrix of benchmarks: which cells, at which sizes, on a CPU and on a GPU."""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from cells import Cell, feature_gradients, grouped, heads, linear, margin, match


def cpu() -> Iterator[Callable[[], Cell]]:
    """The cells of `make bench`, in ten minutes; the largest, of a minute a round, has one."""
    for features in (512, 320):
        for rows, classes in ((512, 200), (4096, 200), (512, 10_000)):
            yield lambda r=rows, d=features, c=classes: linear(r, d, c, seconds=c / 1_000 + 2)
        yield lambda d=features: linear(4096, d, 10_000)
    yield lambda: linear(512, 512, 1_000)
    yield lambda: linear(512, 512, 100_000, seconds=30.0)
    yield lambda: linear(512, 320, 100_000)
    yield lambda: linear(4096, 512, 100_000, without=("eager",), rounds=1)
    for mode in ("forward", "tasks"):
        yield lambda m=mode: linear(512, 512, 10_000, mode=m)
    for classes in (200, 10_000):
        yield lambda c=classes: linear(512, 512, c, reduction="none")
    yield lambda: linear(512, 512, 10_000, dtype=torch.bfloat16)
    yield lambda: heads(4096, (13, 20, 7, 4), True)
    yield lambda: heads(512, (13, 20, 7, 4), True)
    yield lambda: heads(4096, (200, 13, 20, 7), True)
    for rows, classes in (
        (512, (200, 13, 20, 7)),
        (4096, (200, 13, 20, 7)),
        (512, (10_000, 13, 20, 7)),
    ):
        yield lambda r=rows, c=classes: feature_gradients(r, c)
    for rows, classes in ((512, 200), (4096, 200), (512, 10_000)):
        yield lambda r=rows, c=classes: grouped(r, c, (1.0, 1.0, 1.0))
    yield lambda: grouped(4096, 200, (0.8, 0.15, 0.05))
    for classes in (200, 10_000):
        yield lambda c=classes: margin(512, c)
    yield lambda: match(1_000, 10_000)


def gpu(device="cuda", dtype=torch.bfloat16, shrink=1) -> Iterator[Callable[[], Cell]]:
    """The cells of `make bench-gpu`; where a matrix of logits would fill the memory, without it.

    Smaller by the factor `shrink` and on a CPU, they are what a test runs where there is no GPU.
    """
    low = {"device": device, "dtype": dtype}

    def small(size):
        return min(size, max(8, size // shrink))

    for features in (512, 320):
        for rows in (512, 4096):
            for classes in (200, 10_000, 100_000, 1_000_000):
                without = ("eager", "stored") if rows * classes > 2**31 else ()
                sizes = map(small, (rows, features, classes))
                yield partial(linear, *sizes, without=without, **low)
    low["features"] = small(512)
    for rows in (512, 4096):
        yield partial(heads, small(rows), tuple(map(small, (13, 20, 7, 4))), True, **low)
        yield partial(heads, small(rows), tuple(map(small, (200, 13, 20, 7))), True, **low)
        yield partial(grouped, small(rows), small(200), (1.0, 1.0, 1.0), **low)
        yield partial(margin, small(rows), small(10_000), **low)
    yield partial(margin, small(4096), small(100_000), **low)
    yield partial(feature_gradients, small(4096), tuple(map(small, (200, 13, 20, 7))), **low)
    yield partial(match, small(1_000), small(10_000), classes=small(512), device=device)
