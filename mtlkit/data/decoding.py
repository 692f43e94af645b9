"""Image files as tensors: decoded in advance if they fit into memory, otherwise on access."""

import io
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from mtlkit.data.jpeg_check import require_whole_jpeg
from mtlkit.data.source import Loading
from mtlkit.errors import DataError
from mtlkit.regular_files import read_regular

FORMATS = ("BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
"""Formats to decode; Pillow runs external programs for some others, such as EPS."""

INTERPOLATIONS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
"""Interpolations by name; all but the nearest pixel are antialiased."""

MEMORY = 2 * 1024**3
"""Maximum size of the decoded images kept in memory, in bytes."""

LARGEST_FILE = 1024**3
"""Maximum size of an image file, in bytes."""

CHUNK = 256
"""Number of images submitted to the threads at a time, to bound memory."""


@attrs.frozen
class Frame:
    """The shape to which every image is converted."""

    height: int
    width: int
    channels: int
    interpolation: str = "bicubic"
    crop: float | None = None  # of the largest centered rectangle; None: the whole, stretched

    @property
    def bytes(self) -> int:
        """Size of one decoded image, in bytes."""
        return self.channels * self.height * self.width


def decode(
    source: Path | bytes, frame: Frame, *, checked_before: bool = False
) -> NDArray[np.uint8]:
    """Decode an image file to (C, H, W), upright, cropped and resized by `frame`.

    `source` is the path of the file or its content. Raises `DataError` if it cannot be decoded or
    is damaged; the damage that only warnings of libjpeg report is not looked for if the file was
    `checked_before`.
    """
    try:
        content = source if isinstance(source, bytes) else read_regular(source, LARGEST_FILE)
        if not content:
            raise DataError("is empty (0 bytes)")
        with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
            reduce_jpeg(opened, _pixels_per_pixel(opened.size, frame))
            image = _eight_bits(ImageOps.exif_transpose(opened), frame.channels)
            size = (frame.width, frame.height)
            box = _center(image.size, frame)
            if image.size != size or box is not None:
                resampling = INTERPOLATIONS[frame.interpolation]
                image = image.resize(size, resampling, box=box)
            pixels = np.asarray(image, dtype=np.uint8)
        if not checked_before:
            require_whole_jpeg(content)
    except DataError:
        raise
    except UnidentifiedImageError as cause:
        raise DataError("is not an image of a supported format") from cause
    except OSError as cause:
        raise DataError(f"cannot be read: {cause.strerror or cause}") from cause
    except Exception as cause:  # decoders raise many types for a damaged file
        raise DataError(f"cannot be read: {type(cause).__name__}: {cause}") from cause
    return pixels[None] if frame.channels == 1 else pixels.transpose(2, 0, 1)


def reduce_jpeg(opened: Image.Image, ratio: float) -> float:
    """Have the decoder of a JPEG reduce it by 2, 4 or 8, and return the factor; 1 for other images.

    `ratio` is the number of its pixels along a side of a pixel of the result. At least two remain,
    so that the resizing that follows is antialiased. Call it before the pixels are read.
    """
    factor = next((factor for factor in (8, 4, 2) if ratio >= 2 * factor), 1)
    before = opened.width
    if factor > 1:
        opened.draft(opened.mode, (opened.width // factor, opened.height // factor))
    return before / opened.width


def _pixels_per_pixel(size: tuple[int, int], frame: Frame) -> float:
    """Return the fewest pixels along a side of a pixel of the result, upright or turned."""
    if frame.interpolation == "nearest":
        return 1.0
    sides = (min(size) / frame.height, min(size) / frame.width)
    return min(sides) * (frame.crop or 1.0)


def _center(size: tuple[int, int], frame: Frame) -> tuple[float, float, float, float] | None:
    """Return the centered box of an image of width and height `size` to resize; None for all."""
    if frame.crop is None:
        return None
    scale = frame.crop * min(size[0] / frame.width, size[1] / frame.height)
    width, height = scale * frame.width, scale * frame.height
    left, top = (size[0] - width) / 2, (size[1] - height) / 2
    return left, top, left + width, top + height


def _eight_bits(image: Image.Image, channels: int) -> Image.Image:
    """Convert to gray or RGB; scale 16-bit gray, which Pillow's conversion clips to white."""
    if image.mode.startswith("I"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise DataError("has pixels of 32 bits; expected 8 or 16")
        image = Image.fromarray((values / 257).round().astype(np.uint8))
    elif image.mode == "F":
        raise DataError("has pixels of floating point; expected 8 or 16 bits")
    elif "transparency" in image.info:
        image = image.convert("RGBA")  # required for a palette with transparency
    return image.convert("L" if channels == 1 else "RGB")


@attrs.frozen(eq=False)
class StoredImages:
    """Images that several threads decode on each access."""

    paths: Sequence[Path]
    frame: Frame
    workers: int

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: Tensor) -> Tensor:
        def one(position: int) -> NDArray[np.uint8]:
            try:
                return decode(self.paths[position], self.frame, checked_before=True)
            except DataError as cause:
                raise DataError(
                    f"{self.paths[position]}: {cause}, though it was readable before"
                ) from cause

        with ThreadPoolExecutor(self.workers) as pool:
            return torch.from_numpy(np.stack(list(pool.map(one, index.tolist()))))


def read_images(
    paths: Sequence[Path], frame: Frame, loading: Loading, memory: int = MEMORY
) -> tuple[Tensor | None, dict[int, str]]:
    """Return all images (N, C, H, W) in uint8, and the errors of unreadable ones by position.

    Every file is decoded once, so that damaged ones are reported before training. The images are
    None if they would take more than `memory` bytes; use `StoredImages` in this case.
    """
    fits = len(paths) * frame.bytes <= memory
    shape = (len(paths) if fits else 0, frame.channels, frame.height, frame.width)
    pixels = torch.zeros(shape, dtype=torch.uint8)
    errors: dict[int, str] = {}

    def one(position: int) -> NDArray[np.uint8] | str:
        try:
            return decode(paths[position], frame)
        except DataError as cause:
            return str(cause)

    with warnings.catch_warnings(), ThreadPoolExecutor(threads(loading)) as pool:
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for start in range(0, len(paths), CHUNK):
            positions = range(start, min(start + CHUNK, len(paths)))
            for position, decoded in zip(positions, pool.map(one, positions), strict=True):
                if isinstance(decoded, str):
                    errors[position] = decoded
                elif fits:
                    pixels[position] = torch.from_numpy(decoded.copy())
            loading.progress("reading images", positions.stop, len(paths))
    return (pixels if fits else None), errors


def threads(loading: Loading) -> int:
    """Return the number of threads that decode."""
    return loading.workers or os.cpu_count() or 1
