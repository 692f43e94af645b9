"""One way to compile a numeric kernel, so that every kernel has the same options."""

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
    """A hash of the source of all kernels and of the constants that are compiled into them."""
    files = sorted(Path(__file__).parent.rglob("*.py"))
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()[:12]


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` to machine code on first call and keep the result on disk.

    `fastmath` reorders sums: the same machine and build give the same bits, another processor may
    differ in the last one. Kernels therefore never contain a test that such a bit could turn into
    a different picture, only into a grey level more or less.
    """
    # numba names the files of its disk cache by this, and looks at the kernel's own source file
    # only: without the hash it would run an old copy of a kernel that is inlined from another file
    function.__qualname__ += f"_{_sources()}"
    return cast(Callable[P, R], numba.njit(cache=True, fastmath=True, nogil=True)(function))
