"""Compilation of numeric kernels, all with the same options."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")


@cache
def _sources() -> str:
    """Return a hash of the source of all kernels and the constants compiled into them."""
    files = sorted(Path(__file__).parent.rglob("*.py"))
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()[:12]


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` to machine code on first call and cache the result on disk.

    `fastmath` reorders sums: the same machine and build give the same bits, another processor may
    differ in the last one. Kernels therefore contain no branch in which such a bit changes a pixel
    by more than one gray level.
    """
    # numba names its cache files by the qualified name and checks the kernel's own source file
    # only; the hash invalidates kernels that inline another file
    function.__qualname__ += f"_{_sources()}"
    return cast(Callable[P, R], numba.njit(cache=True, fastmath=True, nogil=True)(function))
