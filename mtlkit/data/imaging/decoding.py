"""Image files as tensors: decoded in advance if they fit into memory, otherwise on access."""

import io
import math
import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from mtlkit.checksums import checksum
from mtlkit.data.frame import INTERPOLATIONS, Frame, Region
from mtlkit.data.imaging.decoder_pool import DecoderPool
from mtlkit.data.imaging.image_stores import (
    LARGEST_FILE,
    EncodedSizes,
    FileStore,
    Sizes,
    Store,
)
from mtlkit.data.imaging.jpeg import (
    JpegSizes,
    Size,
    decode_jpeg,
    decode_jpeg_into,
    require_whole_jpeg,
)
from mtlkit.data.imaging.shared_images import SharedImages
from mtlkit.data.source import Loading
from mtlkit.errors import DataError
from mtlkit.regular_files import read_regular

FORMATS = ("BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
"""Formats to decode; Pillow runs external programs for some others, such as EPS."""

MEMORY = 2 * 1024**3
"""Maximum size of the decoded images kept in memory, in bytes."""

CHUNK = 256
"""Number of images submitted to the threads at a time, to bound memory."""


def decode(
    source: Path | bytes,
    frame: Frame,
    *,
    region: Region | None = None,
    checked_before: bool = False,
) -> NDArray[np.uint8]:
    """Decode an image file to (C, H, W), upright, cropped and resized by `frame`, or its `region`.

    `source` is a path or the content of a file. Raises `DataError` if it is damaged or cannot be
    decoded; damage that only libjpeg's warnings report is ignored if the file was `checked_before`.
    """
    pixels = np.empty((frame.height, frame.width, frame.channels), np.uint8)
    decode_into(pixels, source, frame, region=region, checked_before=checked_before)
    return pixels.transpose(2, 0, 1)


def decode_into(
    pixels: NDArray[np.uint8],
    source: Path | bytes,
    frame: Frame,
    *,
    region: Region | None = None,
    checked_before: bool = False,
    sizes: JpegSizes | None = None,
) -> None:
    """Decode an image file as `decode` does, into `pixels` (H, W, C), which are contiguous.

    `sizes` are shared by files of the same source.
    """
    try:
        content = source if isinstance(source, bytes) else read_regular(source, LARGEST_FILE)
        if not content:
            raise DataError("is empty (0 bytes)")
        size = (sizes or JpegSizes()).size(content)
        if size is not None and _decode_jpeg(pixels, content, frame, region, size):
            return
        with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
            frame.check_size(*opened.size)
            _resize(pixels, ImageOps.exif_transpose(opened), frame, region)
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


def _decode_jpeg(
    pixels: NDArray[np.uint8], content: bytes, frame: Frame, region: Region | None, size: Size
) -> bool:
    """Decode a JPEG file into `pixels`; return False if it is damaged."""
    height, width, gray = size
    if frame.square is not None:
        frame.check_size(width, height)
    channels = 1 if gray and frame.channels == 1 else 3
    if (height, width, channels) == pixels.shape and frame.crop in (None, 1) and region is None:
        return decode_jpeg_into(pixels, content)
    smallest = None
    if frame.reduce:
        left, top, right, bottom = _center((width, height), frame) or (0, 0, width, height)
        scale = 2 * max(frame.width / (right - left), frame.height / (bottom - top))
        scale = scale if region is None else 2 / region.ratio(frame)
        smallest = (math.ceil(scale * height), math.ceil(scale * width)) if scale < 1 else None
    decoded = decode_jpeg(content, channels, smallest=smallest)
    if decoded is None:
        return False
    image = Image.fromarray(decoded[..., 0] if channels == 1 else decoded)
    _resize(pixels, image, frame, region, width / image.width)
    return True


def _resize(
    pixels: NDArray[np.uint8],
    image: Image.Image,
    frame: Frame,
    region: Region | None,
    reduced: float = 1.0,
) -> None:
    """Write an upright image, reduced by a factor, into `pixels` (H, W, C), cut out and resized."""
    image = _eight_bits(image, frame.channels)
    size, box = frame.size, _center(image.size, frame)
    if region is not None:
        image = region.cut(image, frame, reduced)
    elif image.size != size or box is not None:
        image = image.resize(size, INTERPOLATIONS[frame.interpolation], box=box)
    pixels[:] = np.asarray(image, dtype=np.uint8).reshape(pixels.shape)


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
    """Images (N, C, H, W) of a store, decoded by threads on each access.

    `positions` (N,) are those in the store; None for all. A batch is in channels-last memory, which
    is the order of decoded pixels and that of the network.
    """

    store: Store
    frame: Frame
    pool: DecoderPool
    positions: Tensor | None = None
    checked_before: bool = True  # the damage is not looked for again
    regions: Sequence[Region | None] | None = None  # of the images of the store
    _sizes: JpegSizes = attrs.field(init=False, factory=JpegSizes)

    def __len__(self) -> int:
        return len(self.store) if self.positions is None else len(self.positions)

    def __getitem__(self, index: Tensor) -> Tensor:
        positions = (index if self.positions is None else self.positions[index]).tolist()
        frame, regions, sizes = self.frame, self.regions, self._sizes
        read, checked_before = self.store.read, self.checked_before
        pixels = np.empty((len(positions), frame.height, frame.width, frame.channels), np.uint8)

        def one(row: int) -> None:
            try:
                content = read(positions[row])
                region = None if regions is None else regions[positions[row]]
                decode_into(
                    pixels[row],
                    content,
                    frame,
                    region=region,
                    checked_before=checked_before,
                    sizes=sizes,
                )
            except DataError as cause:
                before = ", though it was readable before" if self.checked_before else ""
                raise DataError(f"{self.store.place(positions[row])}: {cause}{before}") from cause

        self.pool.map(one, range(len(positions)))
        return torch.from_numpy(pixels).permute(0, 3, 1, 2)

    def encoded_sizes(self) -> Sizes | None:
        """Return the sizes (N,) of the samples, if the store has them; see `EncodedSizes`."""
        sizes = self.store.encoded_sizes() if isinstance(self.store, EncodedSizes) else None
        return sizes if sizes is None or self.positions is None else sizes[self.positions.numpy()]


def read_images(
    images: Sequence[Path] | Store,
    frame: Frame,
    loading: Loading,
    memory: int = MEMORY,
    regions: Sequence[Region | None] | None = None,
) -> tuple[Tensor | None, dict[int, str]]:
    """Return all images (N, C, H, W) in uint8, and the errors of unreadable ones by position.

    `regions` (N,) are the parts of the images that fill the frame; None for all of an image.

    Every file is decoded once, so that damaged ones are reported before training. The images are
    None if they would take more than `memory` bytes; use `StoredImages` in this case. Processes
    with the same `loading.shared` folder decode together once.
    """
    store = images if isinstance(images, Store) else FileStore(Path(), [*map(str, images)])
    fits = len(store) * frame.bytes <= memory
    shape = (len(store), frame.height, frame.width, frame.channels)
    if loading.shared is None:
        pixels = np.zeros(shape, np.uint8) if fits else None
        return _tensor(pixels), _decode_all(pixels, store, frame, loading, regions)
    places = "\0".join(store.place(position) for position in range(len(store)))
    name = checksum([f"{frame} {fits} {regions} {places}".encode("utf-8", "surrogatepass")])
    shared = SharedImages(loading.shared, name)
    if (done := shared.read(shape)) is not None:
        pixels, errors = done
        if pixels is not None or not fits:
            return _tensor(pixels), errors
    created = shared.create(shape) if fits else None
    pixels = np.zeros(shape, np.uint8) if fits and created is None else created
    errors = _decode_all(pixels, store, frame, loading, regions)
    shared.finish(errors)
    return _tensor(pixels), errors


def _tensor(pixels: NDArray[np.uint8] | None) -> Tensor | None:
    """Return pixels (N, H, W, C) as (N, C, H, W), in channels-last memory."""
    return None if pixels is None else torch.from_numpy(pixels).permute(0, 3, 1, 2)


def _decode_all(
    pixels: NDArray[np.uint8] | None,
    store: Store,
    frame: Frame,
    loading: Loading,
    regions: Sequence[Region | None] | None,
) -> dict[int, str]:
    """Decode every image, into `pixels` (N, H, W, C) if they are given; return the errors."""
    rows = np.empty((CHUNK, frame.height, frame.width, frame.channels), np.uint8)
    errors: dict[int, str] = {}
    sizes = JpegSizes()

    def one(position: int) -> None:
        row = rows[position % CHUNK] if pixels is None else pixels[position]
        try:
            region = None if regions is None else regions[position]
            decode_into(row, store.read(position), frame, region=region, sizes=sizes)
        except DataError as cause:
            errors[position] = str(cause)

    pool = DecoderPool(threads(loading))
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for start in range(0, len(store), CHUNK):
            positions = range(start, min(start + CHUNK, len(store)))
            pool.map(one, positions)
            loading.progress("reading images", positions.stop, len(store))
    return dict(sorted(errors.items()))


def threads(loading: Loading) -> int:
    """Return the number of threads that decode."""
    return loading.workers or os.cpu_count() or 1
