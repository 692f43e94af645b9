"""Face pictures of a protocol, and decoding them to a network's input shape."""

import io
from pathlib import Path

import attrs
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from mtlkit.data import FORMATS, reduce_jpeg
from mtlkit.plugins import DataError

MAX_PIXELS = 80_000_000
"""Larger pictures are not decoded, since a small file can expand to fill the memory."""

Pixels = npt.NDArray[np.uint8]


@attrs.frozen(kw_only=True)
class Box:
    """The box of a face in pixels, enlarged on each side by `margin` of its longer side."""

    left: float
    top: float
    width: float
    height: float
    margin: float = 0.0

    def corners(self) -> tuple[float, float, float, float]:
        """Return left, top, right and bottom of the enlarged square around the box."""
        side = max(self.width, self.height) * (1 + 2 * self.margin)
        x, y = self.left + self.width / 2, self.top + self.height / 2
        return x - side / 2, y - side / 2, x + side / 2, y + side / 2


@attrs.frozen(kw_only=True)
class FaceImage:
    """A face of a protocol: its name in messages, and its file or encoded bytes.

    Without a source, `fault` is the reason; it is `faceless` if the set itself lists no face, which
    is not an error of the set.
    """

    name: str
    source: Path | bytes | None
    box: Box | None = None
    fault: str = ""
    faceless: bool = False


@attrs.frozen(eq=False)
class Decoded:
    """A picture (C, H, W) in uint8, and the width and height before resizing."""

    pixels: Pixels
    size: tuple[int, int]


def decode(picture: FaceImage, shape: tuple[int, ...]) -> Decoded:
    """Decode `picture`, or its box, upright and with bicubic resizing to `shape` (C, H, W).

    Raises `DataError` with the reason, without the picture's name.
    """
    if picture.source is None:
        raise DataError(picture.fault)
    content = picture.source
    channels, height, width = shape
    try:
        with Image.open(
            io.BytesIO(content) if isinstance(content, bytes) else content, formats=FORMATS
        ) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise DataError(f"has {opened.width} x {opened.height} pixels, too many for a face")
            whole = opened.size
            box = picture.box
            side = min(whole) if box is None else max(box.width, box.height)
            reduced = reduce_jpeg(opened, side / max(height, width))
            image = ImageOps.exif_transpose(opened).convert("L" if channels == 1 else "RGB")
    except DataError:
        raise
    except FileNotFoundError as cause:
        raise DataError("is missing") from cause
    except UnidentifiedImageError as cause:
        raise DataError("is not an image of a supported format") from cause
    except Exception as cause:  # decoders raise nearly anything on damaged files
        raise DataError(f"cannot be read: {type(cause).__name__}: {cause}") from cause
    if box is not None:
        image = _cropped(image, box, reduced)
    size = (round(image.width * reduced), round(image.height * reduced))
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    pixels = np.asarray(image, dtype=np.uint8)
    return Decoded(pixels[None] if channels == 1 else pixels.transpose(2, 0, 1), size)


def _cropped(image: Image.Image, box: Box, reduced: float) -> Image.Image:
    """Crop the square around the box from an image reduced by a factor.

    Parts outside of the picture are black, as in alignment.
    """
    left, top, right, bottom = (round(corner / reduced) for corner in box.corners())
    if right <= 0 or bottom <= 0 or left >= image.width or top >= image.height:
        size = f"{image.width * reduced:.0f} x {image.height * reduced:.0f}"
        raise DataError(f"its face box lies outside of the {size} picture")
    return image.crop((left, top, max(right, left + 1), max(bottom, top + 1)))
