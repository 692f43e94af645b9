"""The format idx of MNIST: a header of sizes, then bytes."""

import gzip
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtlkit.plugins import DataError
from mtlkit_benchmarks.trees.files import readable


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Return the array of bytes in an idx file, compressed or not."""
    with readable(path):
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
    if len(content) < 4 or content[:3] != b"\0\0\x08":
        raise DataError(f"{path}: got the start {content[:4]!r}, expected an idx file of bytes")
    dims = content[3]
    header = 4 + 4 * dims
    with readable(path):  # the file may end before its sizes
        shape = tuple(int(n) for n in np.frombuffer(content[4:header], dtype=">u4"))
    if len(content) - header != prod(shape):
        raise DataError(
            f"{path}: got {len(content) - header:,} values, expected {prod(shape):,} for {shape}"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)
