"""Arrays of one sample as labels of its pixels, in the codes of mtlkit's targets."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from mtlkit.data import Labels, Loading, Split, Target, threads
from mtlkit.plugins import MISSING, DataError
from mtlkit_benchmarks.trees.files import read_npy
from mtlkit_benchmarks.trees.on_access import OnAccess

Array = NDArray[Any]


def class_codes(values: Array, classes: int, void: Sequence[int] = ()) -> Tensor:
    """Return codes (H, W) in int64, -1 for a pixel of a code in `void`.

    >>> class_codes(np.array([[1.0, 255.0]]), 2, (255,)).tolist()
    [[1, -1]]
    """
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if values.ndim != 2 or not (values == values.round()).all():
        raise DataError(f"got {values.shape} in {values.dtype}, expected whole numbers (H, W)")
    codes = torch.from_numpy(values.astype(np.int64))
    codes = torch.where(torch.isin(codes, torch.tensor([*void, MISSING])), MISSING, codes)
    wrong = codes[(codes != MISSING) & ((codes < 0) | (codes >= classes))]
    if len(wrong):
        raise DataError(f"got the code {int(wrong[0])}, expected 0 to {classes - 1}")
    return codes


def numbers(values: Array, void: Sequence[float] = ()) -> Tensor:
    """Return numbers (C, H, W) in float32 of (H, W) or (H, W, C), NaN for a value in `void`."""
    result = channels_first(values)
    for code in void:
        result = torch.where(result == code, torch.nan, result)
    return result


def channels_first(values: Array) -> Tensor:
    """Return (H, W, C) or (H, W) as (C, H, W) in float32."""
    if values.ndim not in (2, 3):
        raise DataError(f"got an array {values.shape}, expected (H, W) or (H, W, C)")
    whole = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
    return whole.unsqueeze(0) if whole.dim() == 2 else whole.movedim(-1, 0).contiguous()


def unit_vectors(values: Array) -> Tensor:
    """Return vectors (3, H, W) in float32 of (H, W, 3), 0 where an element is not finite."""
    vectors = channels_first(values)
    if len(vectors) != 3:
        raise DataError(f"got an array {values.shape}, expected (H, W, 3)")
    return torch.where(vectors.isfinite().all(dim=0), vectors, 0.0)


def normalized(vectors: Tensor) -> Tensor:
    """Return vectors (3, H, W) of length 1, and 0 for one that is shorter than 0.1."""
    length = vectors.norm(dim=0)
    return torch.where(length > 0.1, vectors / length.clamp(min=0.1), 0.0)


def resized(labels: Tensor, size: tuple[int, int]) -> Tensor:
    """Return a map (..., H, W) resized to `size` by the nearest pixel."""
    if labels.shape[-2:] == size:
        return labels
    maps = labels.reshape(1, -1, *labels.shape[-2:]).double()
    resized = F.interpolate(maps, size=size, mode="nearest-exact")
    return resized.reshape(*labels.shape[:-2], *size).to(labels.dtype)


@attrs.frozen
class ArrayFolder:
    """A folder with an array ``NUMBER.npy`` for each sample, and the labels that it holds."""

    name: str
    target: Target
    convert: Callable[[Array], Tensor]


def numbered_split(
    folder: Path, prefix: str, labels: Mapping[str, ArrayFolder], loading: Loading
) -> Split:
    """Return the samples 0, 1, ... of ``folder/image/NUMBER.npy`` and of the folders of `labels`.

    Images (H, W, 3) become inputs (3, H, W) in float32. Raises `DataError` if a number is left out.
    """
    names = _numbers(folder / "image")
    columns = {}
    for label, arrays in labels.items():
        if _numbers(folder / arrays.name) != names:
            raise DataError(
                f"{folder / arrays.name}: got other numbers than {folder / 'image'}, expected one "
                f"array for each image"
            )
        paths = [folder / arrays.name / name for name in names]
        columns[label] = Labels(arrays.target, array_rows(paths, arrays.convert, loading))
    images = array_rows([folder / "image" / name for name in names], channels_first, loading)
    ids = [f"{prefix}/{Path(name).stem}" for name in names]
    return Split(inputs=images, columns=columns, ids=ids)


def array_rows(
    paths: Sequence[Path], convert: Callable[[Array], Tensor], loading: Loading
) -> OnAccess:
    """Return rows that `convert` makes of the arrays in ``.npy`` files."""
    return map_rows(paths, read_npy, convert, loading)


def map_rows(
    paths: Sequence[Path],
    read: Callable[[Path], Array],
    convert: Callable[[Array], Tensor],
    loading: Loading,
) -> OnAccess:
    """Return rows that `convert` makes of what `read` returns; an error of it names the file."""
    return OnAccess(paths, partial(_converted, read=read, convert=convert), threads(loading))


def _converted(
    path: Path, *, read: Callable[[Path], Array], convert: Callable[[Array], Tensor]
) -> Tensor:
    values = read(path)
    try:
        return convert(values)
    except DataError as cause:
        raise DataError(f"{path}: {cause}") from cause


def _numbers(folder: Path) -> list[str]:
    names = {path.name for path in folder.glob("*.npy")}
    expected = [f"{number}.npy" for number in range(len(names))]
    if names != set(expected):
        missing = sorted(set(expected) - names, key=len)[0]
        raise DataError(f"{folder}: has {len(names)} arrays but no {missing}; get the missing one")
    return expected
