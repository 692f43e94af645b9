"""Files of official trees as arrays and lines; `DataError` names the file."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from mtlkit.data import FORMATS, Frame, Loading, decode, threads
from mtlkit.plugins import DataError, MissingExtraError, MtlkitError
from mtlkit_benchmarks.trees.on_access import OnAccess


@contextmanager
def readable(path: Path, advice: str = "") -> Iterator[None]:
    """Raise what a damaged file makes a decoder raise as a `DataError` with its path and `advice`.

    Decoders raise many types: of zlib, tokenize, struct and others.
    """
    try:
        yield
    except MtlkitError:
        raise
    except Exception as cause:
        reason = str(cause) or type(cause).__name__
        raise DataError(f"{path}: cannot be read: {reason}{advice}") from cause


def image_rows(paths: Sequence[Path], frame: Frame, loading: Loading) -> OnAccess:
    """Return images (N, C, H, W) in uint8 that are decoded on access."""
    return OnAccess(paths, partial(read_image, frame=frame), threads(loading))


def read_image(path: Path, frame: Frame) -> Tensor:
    """Return an image (C, H, W) in uint8."""
    try:
        return torch.from_numpy(decode(path, frame).copy())
    except DataError as cause:
        raise DataError(f"{path}: {cause}") from cause


def read_codes(path: Path) -> NDArray[Any]:
    """Return the values of an image without conversion, (H, W) or (H, W, C)."""
    with readable(path), Image.open(path, formats=FORMATS) as image:
        return np.asarray(image)  # the codes of an image with a palette


def read_npy(path: Path) -> NDArray[Any]:
    """Return the array of a ``.npy`` file without pickled objects."""
    with readable(path):
        return np.asarray(np.load(path, allow_pickle=False))


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file without the empty ones at its end."""
    with readable(path):
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def read_mat(path: Path) -> dict[str, Any]:
    """Return the variables of a MATLAB file before version 7.3; scipy is needed."""
    loadmat = optional("scipy.io").loadmat
    with readable(path):
        variables: dict[str, Any] = loadmat(path, squeeze_me=False)
    return variables


def variable(path: Path, variables: dict[str, Any], name: str) -> NDArray[Any]:
    """Return a variable of a MATLAB file."""
    if name not in variables:
        known = ", ".join(key for key in variables if not key.startswith("__"))
        raise DataError(f"{path}: has no variable {name!r}; it has: {known}")
    return np.asarray(variables[name])


def optional(module: str, extra: str = "official") -> Any:
    """Return a module of an `extra` of the package; `MissingExtraError` if it is not installed."""
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError as cause:
        raise MissingExtraError(
            f"reading this data set needs {module.partition('.')[0]}: "
            f"pip install 'mtlkit-benchmarks[{extra}]'"
        ) from cause


def first_file(folder: Path, *names: str) -> Path:
    """Return the first of `names` that is a file below `folder`; `DataError` if there is none."""
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise DataError(f"{folder}: has no file {' or '.join(names)}")


def existing(paths: Sequence[Path], kept: Callable[[Path], bool] = Path.is_file) -> Sequence[Path]:
    """Return `paths`; `DataError` names the first file that does not exist."""
    missing = [path for path in paths if not kept(path)]
    if missing:
        raise DataError(
            f"{missing[0]}: no such file, one of {len(missing):,} that are listed and missing; get "
            f"them, or correct the list"
        )
    return paths
