"""Face pictures of a protocol, and decoding them to the frame of a network."""

import io
from pathlib import Path

import attrs
import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from mtlkit.data import FORMATS, BoxRegion, Frame, decode
from mtlkit.plugins import DataError

MAX_PIXELS = 80_000_000
"""Larger pictures are not decoded, since a small file can expand to fill the memory."""

Pixels = npt.NDArray[np.uint8]


@attrs.frozen(kw_only=True)
class FaceImage:
    """A face of a protocol: its name in messages, and its file or encoded bytes.

    Without a source, `fault` is the reason; it is `faceless` if the set itself lists no face, which
    is not an error of the set.
    """

    name: str
    source: Path | bytes | None
    box: BoxRegion | None = None
    fault: str = ""
    faceless: bool = False


@attrs.frozen(eq=False)
class DecodedPicture:
    """A picture (C, H, W) in uint8, and the width and height before resizing."""

    pixels: Pixels
    size: tuple[int, int]


def decode_picture(picture: FaceImage, frame: Frame) -> DecodedPicture:
    """Decode `picture`, or its box, upright and in `frame`.

    Raises `DataError` with the reason, without the picture's name.
    """
    if picture.source is None:
        raise DataError(picture.fault)
    try:
        source = picture.source
        content = source if isinstance(source, bytes) else source.read_bytes()
    except FileNotFoundError as cause:
        raise DataError("is missing") from cause
    except OSError as cause:
        raise DataError(f"cannot be read: {cause.strerror or cause}") from cause
    size = _size(content)
    if size[0] * size[1] > MAX_PIXELS:
        raise DataError(f"has {size[0]} x {size[1]} pixels, too many for a face")
    if picture.box is not None:
        left, top, right, bottom = map(round, picture.box.corners(frame))
        size = right - left, bottom - top
    return DecodedPicture(decode(content, frame, region=picture.box), size)


def _size(content: bytes) -> tuple[int, int]:
    """Return width and height in the header of an image file."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
            return opened.size
    except UnidentifiedImageError as cause:
        raise DataError("is not an image of a supported format") from cause
    except Exception as cause:  # decoders raise nearly anything on damaged files
        raise DataError(f"cannot be read: {type(cause).__name__}: {cause}") from cause
