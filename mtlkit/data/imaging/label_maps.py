"""Labels of pixels in files: classes, numbers or unit vectors, read on access."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import attrs
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import ExifTags, Image
from torch import Tensor

from mtlkit.component import above, one_of
from mtlkit.data.imaging.decoder_pool import DecoderPool
from mtlkit.data.imaging.decoding import FORMATS
from mtlkit.errors import DataError
from mtlkit.targets.base import Target
from mtlkit.targets.class_map import ClassMapTarget
from mtlkit.targets.real_map import RealMapTarget
from mtlkit.targets.unit_vector_map import UnitVectorMapTarget
from mtlkit.task_types import MISSING

TRANSPOSED = 5
"""The first EXIF orientation in which height and width are exchanged."""


def _file_pattern(_: Any, field: "attrs.Attribute[Any]", value: str) -> None:
    try:
        fixed = value.format(parent="", stem="", name="") == value
    except (KeyError, IndexError, ValueError) as cause:
        raise ValueError(
            f"{field.name}: expected the fields {{parent}}, {{stem}} and {{name}} alone, got "
            f"{value!r}"
        ) from cause
    if fixed:
        raise ValueError(
            f"{field.name}: expected a field such as {{stem}}, got {value!r}, one file for all"
        )


@attrs.frozen(kw_only=True)
class LabelMaps:
    """Files with a label for each pixel of an image: PNG or another lossless image, or ``.npy``.

    `files` is the path of the file of an image, relative to the folder of images. Its fields
    ``{parent}``, ``{stem}`` and ``{name}`` are the image's folder, its name without the suffix, and
    with it.

    With `classes` a file has codes into them, in one channel. With `normals` it has unit vectors: 8
    bits in three channels, (n + 1) 127.5, or numbers (3, H, W). Otherwise it has numbers in one
    channel, multiplied by `scale`, such as 0.001 for depth in millimeters. Pixels with a code or
    number of `void` have no label; nor have NaN, and vectors that are black or 0.

    `quantity` of numbers is what a zoom of a transform changes, see `RealMapTarget`.

    Maps are resized to the size of the images by the nearest pixel. One that is neither of this
    size nor of the aspect ratio of its file of an image is a `DataError`.

    >>> LabelMaps(files="depth/{stem}.png", scale=0.001, void=(0,), quantity="depth").target
    RealMapTarget(channels=1, quantity='depth')
    """

    files: str = attrs.field(validator=_file_pattern)
    classes: tuple[str, ...] = ()
    normals: bool = False
    void: tuple[int, ...] = ()
    scale: float = attrs.field(default=1.0, validator=above(0))
    quantity: str = attrs.field(default="value", validator=one_of("value", "depth", "disparity"))

    def __attrs_post_init__(self) -> None:
        if self.classes and (self.normals or self.scale != 1):
            raise ValueError("classes: expected neither `normals` nor `scale` for codes of classes")

    @property
    def target(self) -> Target:
        """Type of the labels."""
        if self.classes:
            return ClassMapTarget(names=self.classes)
        return UnitVectorMapTarget() if self.normals else RealMapTarget(quantity=self.quantity)

    def path(self, image: str) -> str:
        """Return the path of the file of `image`, relative to the folder of images.

        >>> LabelMaps(files="{parent}annot/{stem}.png").path("train/0001.jpg")
        'trainannot/0001.png'
        """
        path = PurePosixPath(image)
        parent = path.parent.as_posix()
        return self.files.format(parent=parent, stem=path.stem, name=path.name)


@attrs.frozen(eq=False)
class StoredMaps:
    """Label maps (N, ...) of files, which several threads read on each access."""

    paths: Sequence[Path]
    images: Sequence[Path]
    config: LabelMaps
    size: tuple[int, int]  # height and width
    pool: DecoderPool

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: Tensor, /) -> Tensor:
        if len(index) == 0:
            one = self._read(0)
            return one.new_empty((0, *one.shape))
        return torch.stack(self.pool.map(self._read, index.tolist()))

    def _read(self, position: int) -> Tensor:
        """Return one label map, resized to `size`; `DataError` names the file."""
        path, config = self.paths[position], self.config
        values = _values(path)
        if values.dtype.kind not in "iubf" or not values.size:
            raise DataError(
                f"{path}: got {values.dtype} of shape {values.shape}, expected one real number or "
                f"more"
            )
        if values.ndim == 2:
            values = values[None]
        if values.ndim != 3 or len(values) != (3 if config.normals else 1):
            expected = "3 channels first, (3, H, W)" if config.normals else "one channel"
            raise DataError(f"{path}: got labels of shape {values.shape}, expected {expected}")
        labels = _labels(path, values, config)
        if labels.shape[1:] != self.size:
            _require_aspect(path, self.images[position], *labels.shape[1:])
            resized = F.interpolate(labels[None].double(), size=self.size, mode="nearest-exact")
            labels = resized[0].to(labels.dtype)
        return labels[0] if config.classes else labels


def _require_aspect(path: Path, image: Path, height: int, width: int) -> None:
    """Raise `DataError` if a map is more than a pixel off the aspect ratio of its image."""
    with Image.open(image, formats=FORMATS) as opened:
        wide, high = opened.size
        if opened.getexif().get(ExifTags.Base.Orientation, 1) >= TRANSPOSED:
            wide, high = high, wide
    if abs(width * high - height * wide) > max(wide, high):
        raise DataError(
            f"{path}: got labels of {height} x {width} pixels for an image of {high} x {wide} "
            f"({image.name}), expected its aspect ratio; labels and image must show the same region"
        )


def _values(path: Path) -> NDArray[Any]:
    """Return the array (H, W) or (C, H, W) of a file."""
    try:
        if path.suffix == ".npy":
            return np.asarray(np.load(path, allow_pickle=False))
        with Image.open(path, formats=FORMATS) as image:
            values = np.asarray(image)  # the codes of an image with a palette
    except (OSError, ValueError) as cause:
        raise DataError(f"{path}: cannot be read: {cause}") from cause
    return values.transpose(2, 0, 1) if values.ndim == 3 else values


def _labels(path: Path, values: NDArray[Any], config: LabelMaps) -> Tensor:
    """Return labels (C, H, W) in the dtype of the target."""
    void = np.isin(values, config.void)
    if config.classes:
        if values.dtype.kind not in "iub":
            raise DataError(f"{path}: got {values.dtype}, expected whole numbers, codes of classes")
        codes = values.astype(np.int64)
        wrong = codes[~void & ((codes < 0) | (codes >= len(config.classes)))]
        if len(wrong):
            raise DataError(
                f"{path}: got the code {wrong[0]}, expected 0 to {len(config.classes) - 1}, or a "
                f"code of `void`"
            )
        return torch.from_numpy(np.where(void, MISSING, codes))
    numbers = values.astype(np.float32)
    if config.normals:
        missing = void.all(axis=0) | (numbers == 0).all(axis=0) | np.isnan(numbers).any(axis=0)
        vectors = numbers / 127.5 - 1 if values.dtype == np.uint8 else numbers
        return torch.from_numpy(np.where(missing, np.float32(0), vectors))
    return torch.from_numpy(np.where(void, np.float32(np.nan), numbers * config.scale))
