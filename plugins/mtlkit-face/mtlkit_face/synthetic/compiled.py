"""One way to compile a numeric kernel, so that every kernel has the same options."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` to machine code on first call and keep the result on disk.

    `fastmath` reorders sums: the same machine and build give the same bits, another processor may
    differ in the last one. Kernels therefore never contain a test that such a bit could turn into
    a different picture, only into a grey level more or less.
    """
    return cast(Callable[P, R], numba.njit(cache=True, fastmath=True, nogil=True)(function))
