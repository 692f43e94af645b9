"""Pictures of faces as a protocol names them, and decoding one to the shape a network takes."""

import io
from pathlib import Path

import attrs
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from mtlkit.data import FORMATS
from mtlkit.plugins import DataError

MOST_PIXELS = 80_000_000
"""A picture of more is refused before it is decoded: a small file can unfold to fill the memory."""

Pixels = npt.NDArray[np.uint8]


@attrs.frozen(kw_only=True)
class Box:
    """Where a face is in a picture, in pixels, to be enlarged by `margin` of its longer side."""

    left: float
    top: float
    width: float
    height: float
    margin: float = 0.0

    def corners(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the square around the centre that holds the box."""
        side = max(self.width, self.height) * (1 + 2 * self.margin)
        x, y = self.left + self.width / 2, self.top + self.height / 2
        return x - side / 2, y - side / 2, x + side / 2, y + side / 2


@attrs.frozen(kw_only=True)
class FaceImage:
    """A face of a protocol: what messages call it, and its file or its encoded bytes.

    One without a source has a `fault` that says why; it is `faceless` where the set itself says
    that it shows no face to be found, which is no mistake in the set.
    """

    name: str
    source: Path | bytes | None
    box: Box | None = None
    fault: str = ""
    faceless: bool = False


@attrs.frozen(eq=False)
class Decoded:
    """A picture as (C, H, W) in uint8, and the width and height of what it was made from."""

    pixels: Pixels
    size: tuple[int, int]


def decode(picture: FaceImage, shape: tuple[int, ...]) -> Decoded:
    """`picture`, or its box, upright and resized to `shape` (C, H, W) by bicubic interpolation.

    `DataError` says why it cannot be had, without its name.
    """
    if picture.source is None:
        raise DataError(picture.fault)
    content = picture.source
    channels, height, width = shape
    try:
        with Image.open(
            io.BytesIO(content) if isinstance(content, bytes) else content, formats=FORMATS
        ) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                raise DataError(f"has {opened.width} x {opened.height} pixels, too many for a face")
            image = ImageOps.exif_transpose(opened).convert("L" if channels == 1 else "RGB")
    except DataError:
        raise
    except FileNotFoundError as cause:
        raise DataError("is missing") from cause
    except UnidentifiedImageError as cause:
        raise DataError("is not an image of a supported format") from cause
    except Exception as cause:  # a damaged file makes decoders raise nearly anything
        raise DataError(f"cannot be read: {type(cause).__name__}: {cause}") from cause
    if picture.box is not None:
        image = _cropped(image, picture.box)
    size = image.size
    if size != (width, height):
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    pixels = np.asarray(image, dtype=np.uint8)
    return Decoded(pixels[None] if channels == 1 else pixels.transpose(2, 0, 1), size)


def _cropped(image: Image.Image, box: Box) -> Image.Image:
    """The square around the box; what lies outside of the picture is black, as at its alignment."""
    left, top, right, bottom = (round(corner) for corner in box.corners())
    if right <= 0 or bottom <= 0 or left >= image.width or top >= image.height:
        raise DataError(f"its face box lies outside of the {image.width} x {image.height} picture")
    return image.crop((left, top, max(right, left + 1), max(bottom, top + 1)))
