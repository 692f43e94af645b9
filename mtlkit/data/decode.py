"""Image files as tensors: decoded at once where they fit into memory, or else when asked for."""

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

from mtlkit.data.source import Loading
from mtlkit.errors import DataError

FORMATS = ("BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
"""What is taken for an image: others, such as EPS, have Pillow start programs."""

MEMORY = 2 * 1024**3
"""Decoded images of up to so many bytes are kept in memory."""

PORTION = 256
"""Images handed to the threads at a time, which bounds what waits in memory."""


@attrs.frozen
class Frame:
    """The shape that every image is brought to."""

    height: int
    width: int
    channels: int

    @property
    def bytes(self) -> int:
        """The size of one decoded image."""
        return self.channels * self.height * self.width


def decode(source: Path | bytes, frame: Frame) -> NDArray[np.uint8]:
    """An image file as (C, H, W), upright, resized by bicubic interpolation with antialias.

    `source` is where the file is, or what stands in it. Raises `DataError` where it cannot be read
    as an image.
    """
    try:
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        if size == 0:
            raise DataError("is empty (0 bytes)")
        place = io.BytesIO(source) if isinstance(source, bytes) else source
        with Image.open(place, formats=FORMATS) as opened:
            image = _eight_bits(ImageOps.exif_transpose(opened), frame.channels)
            if image.size != (frame.width, frame.height):
                image = image.resize((frame.width, frame.height), Image.Resampling.BICUBIC)
            pixels = np.asarray(image, dtype=np.uint8)
    except DataError:
        raise
    except UnidentifiedImageError as cause:
        raise DataError("is no image of a known format") from cause
    except OSError as cause:
        raise DataError(f"cannot be read: {cause.strerror or cause}") from cause
    except Exception as cause:  # a damaged file makes decoders raise nearly anything
        raise DataError(f"cannot be read: {type(cause).__name__}: {cause}") from cause
    return pixels[None] if frame.channels == 1 else pixels.transpose(2, 0, 1)


def _eight_bits(image: Image.Image, channels: int) -> Image.Image:
    """Gray or RGB; 16-bit gray is scaled, which Pillow's own conversion would clip to white."""
    if image.mode.startswith("I"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise DataError("has pixels of 32 bits; expected 8 or 16")
        image = Image.fromarray((values / 257).round().astype(np.uint8))
    elif image.mode == "F":
        raise DataError("has pixels of floating point; expected 8 or 16 bits")
    elif "transparency" in image.info:
        image = image.convert("RGBA")  # a palette with transparency converts cleanly only so
    return image.convert("L" if channels == 1 else "RGB")


@attrs.frozen(eq=False)
class StoredImages:
    """Images that are decoded whenever they are asked for, by several threads."""

    paths: Sequence[Path]
    frame: Frame
    workers: int

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: Tensor) -> Tensor:
        def one(position: int) -> NDArray[np.uint8]:
            try:
                return decode(self.paths[position], self.frame)
            except DataError as cause:
                raise DataError(f"{self.paths[position]}: {cause} any more") from cause

        with ThreadPoolExecutor(self.workers) as pool:
            return torch.from_numpy(np.stack(list(pool.map(one, index.tolist()))))


def read_images(
    paths: Sequence[Path], frame: Frame, loading: Loading, memory: int = MEMORY
) -> tuple[Tensor | None, dict[int, str]]:
    """All images (N, C, H, W) in uint8, and for those that cannot be read (by position) why.

    Every file is decoded once, whatever the memory: a damaged one is found before training. The
    images are None where they would take more than `memory` bytes: see `StoredImages`.
    """
    fits = len(paths) * frame.bytes <= memory
    shape = (len(paths) if fits else 0, frame.channels, frame.height, frame.width)
    pixels = torch.zeros(shape, dtype=torch.uint8)
    faults: dict[int, str] = {}

    def one(position: int) -> NDArray[np.uint8] | str:
        try:
            return decode(paths[position], frame)
        except DataError as cause:
            return str(cause)

    with warnings.catch_warnings(), ThreadPoolExecutor(threads(loading)) as pool:
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for start in range(0, len(paths), PORTION):
            positions = range(start, min(start + PORTION, len(paths)))
            for position, decoded in zip(positions, pool.map(one, positions), strict=True):
                if isinstance(decoded, str):
                    faults[position] = decoded
                elif fits:
                    pixels[position] = torch.from_numpy(decoded.copy())
            loading.progress("reading images", positions.stop, len(paths))
    return (pixels if fits else None), faults


def threads(loading: Loading) -> int:
    """How many threads decode."""
    return loading.workers or os.cpu_count() or 1
