"""JPEG files: decoding by libjpeg-turbo, and damage that most decoders do not report.

JPEG has no checksum, so damage that leaves valid codes cannot be detected.
"""

import io

import attrs
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import ExifTags, Image

from mtlkit.errors import DataError

START = b"\xff\xd8\xff"
"""The first bytes of a JPEG file."""

METADATA, PIXELS, FRAMES = 0xE1, 0xDA, (0xC0, 0xC1, 0xC2)
"""Markers of segments: Exif or XMP, which may state an orientation, pixels, and the size."""


Size = tuple[int, int, bool]
"""Height, width, and whether an image is gray."""


@attrs.define(eq=False)
class JpegSizes:
    """The sizes of JPEG files, of which the last one is kept with its header.

    An encoder writes the same header for all images of one size and quality. A file that starts
    with the bytes of the last header has its size, and its segments need not be read.

    >>> JpegSizes().size(b"not a JPEG file")
    """

    _last: tuple[bytes, Size] | None = None  # one attribute, so that threads read both or neither

    def size(self, content: bytes) -> Size | None:
        """Return the size of a JPEG file; None if Pillow must decode it.

        Pillow decodes other formats and color spaces, rotated and damaged images, and images above
        its limit of pixels, for which it warns.
        """
        last = self._last
        if last is not None and content.startswith(last[0]):
            return last[1]
        if (header := _header(content)) is not None:
            self._last = header
            return header[1]
        return None


def _header(content: bytes) -> tuple[bytes, Size] | None:
    """Return all bytes of a JPEG file that determine its size and orientation, and the size."""
    if not content.startswith(START):
        return None
    frame, start, end = 0, 2, len(content) - 10
    while start < end and (marker := content[start + 1]) != PIXELS:
        if marker in FRAMES:
            frame = start
        elif marker == METADATA and _rotated(content):
            return None
        start += 2 + (content[start + 2] << 8 | content[start + 3])
    if not frame or start >= end:
        return None
    height = content[frame + 5] << 8 | content[frame + 6]
    width = content[frame + 7] << 8 | content[frame + 8]
    bits, components, limit = content[frame + 4], content[frame + 9], Image.MAX_IMAGE_PIXELS
    if bits != 8 or components not in (1, 3) or (limit is not None and height * width > limit):
        return None
    return content[: start + 10], (height, width, components == 1)


def _rotated(content: bytes) -> bool:
    """Return whether Pillow turns the image, or cannot tell because the file is damaged."""
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
            return bool(image.getexif().get(ExifTags.Base.Orientation, 1) != 1)
    except (OSError, SyntaxError, ValueError):
        return True


def decode_jpeg(
    content: bytes,
    channels: int,
    *,
    smallest: tuple[int, int] | None = None,
) -> NDArray[np.uint8] | None:
    """Return the pixels (H, W, `channels`), those of Pillow to the bit; None for a damaged file.

    With `smallest`, the file is decoded at the smallest scale (a half, quarter or eighth) with at
    least this height and width.
    """
    height, width = smallest or (0, 0)
    try:
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(
            content,
            "GRAY" if channels == 1 else "RGB",
            min_height=height,
            min_width=width,
            min_factor=2 if smallest else 1,
            strict=True,
        )
    except ValueError:
        return None
    return pixels


def decode_jpeg_into(pixels: NDArray[np.uint8], content: bytes) -> bool:
    """Decode a file of the shape of `pixels` (H, W, C) into them; return False if it is damaged."""
    space = "GRAY" if pixels.shape[2] == 1 else "RGB"
    try:
        return bool(simplejpeg.decode_jpeg(content, space, buffer=pixels).shape == pixels.shape)
    except ValueError:
        return False


def require_whole_jpeg(content: bytes) -> None:
    """Raise `DataError` if libjpeg reports damage in a JPEG file; other files are not examined.

    The file is decoded at an eighth of its size, which costs a quarter to two thirds of a full
    decoding.
    """
    if not content.startswith(START):
        return
    try:
        color = simplejpeg.decode_jpeg_header(content)[2]
        space = "CMYK" if color in ("CMYK", "YCCK") else "GRAY"
        simplejpeg.decode_jpeg(
            content, space, fastdct=True, min_height=1, min_width=1, min_factor=8, strict=True
        )
    except ValueError as cause:
        if "subsampling" in str(cause):
            return  # a valid file, which simplejpeg cannot decode but Pillow can
        raise DataError(
            f"is damaged: {str(cause).removesuffix('.')}; restore it from a copy"
        ) from cause
