"""Pickles of NumPy arrays, read without executing anything that they name."""

import pickle
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from mtlkit.plugins import DataError
from mtlkit_benchmarks.trees.files import readable

_ALLOWED = {
    (module, name)
    for package in ("numpy.core", "numpy._core")
    for module, name in (
        (f"{package}.multiarray", "_reconstruct"),
        (f"{package}.numeric", "_frombuffer"),
    )
} | {("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")}
"""The functions and classes that build an array."""


class _Arrays(pickle.Unpickler):
    def __init__(self, path: Path, file: IO[bytes]) -> None:
        super().__init__(file, encoding="latin1")
        self.path = path

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise DataError(
                f"{self.path}: it names {module}.{name}, expected arrays alone; do not trust it"
            )
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def read_arrays(path: Path) -> list[NDArray[Any]]:
    """Return the arrays of a pickled sequence; `DataError` if it holds anything else."""
    with readable(path), path.open("rb") as file:
        values = _Arrays(path, file).load()
    if not isinstance(values, list | tuple) or not all(
        isinstance(value, np.ndarray) and value.dtype != object for value in values
    ):
        raise DataError(
            f"{path}: got {type(values).__name__}, expected a sequence of arrays of numbers"
        )
    return list(values)
