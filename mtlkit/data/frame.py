"""The shape to which images are converted, and the region of an image that fills it."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, final

import attrs

from mtlkit.data.similarity_transform import Similarity, warp
from mtlkit.errors import DataError

if TYPE_CHECKING:
    from PIL import Image  # a recipe is read without it

INTERPOLATIONS = {"nearest": 0, "bilinear": 2, "bicubic": 3, "lanczos": 1}
"""Values of `PIL.Image.Resampling` by name; all but the nearest pixel are antialiased."""


@attrs.frozen
class Frame:
    """The shape to which every image is converted."""

    height: int
    width: int
    channels: int
    interpolation: str = "bicubic"
    crop: float | None = None  # of the largest centered rectangle; None: the whole, stretched
    reduce: bool = False  # decode a JPEG of at least twice the size at a reduced scale
    square: str | None = None  # what is expected if only squares are accepted

    def check_size(self, width: int, height: int) -> None:
        """Raise `DataError` for the size of an image file that the frame refuses."""
        if self.square is not None and width != height:
            raise DataError(f"is {width} x {height} pixels; expected a square, {self.square}")

    @property
    def bytes(self) -> int:
        """Size of one decoded image, in bytes."""
        return self.channels * self.height * self.width

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, as Pillow orders them."""
        return self.width, self.height


class Region(ABC):
    """The part of an image that fills the frame, in place of `Frame.crop`.

    Coordinates are those of the upright image before any reduction.
    """

    @abstractmethod
    def ratio(self, frame: Frame) -> float:
        """Return the fewest pixels of the image along a side of a pixel of the result."""

    @abstractmethod
    def cut(self, image: "Image.Image", frame: Frame, reduced: float) -> "Image.Image":
        """Return the result, in the size of the frame, of an image reduced by a factor.

        Parts outside of the image are black. Raises `DataError` if no part is inside.
        """


@final
@attrs.frozen
class BoxRegion(Region):
    """The box around an object in pixels, enlarged to the aspect ratio of the frame.

    `margin` is added on each side, as a part of the longer side.
    """

    left: float
    top: float
    width: float
    height: float
    margin: float = 0.0

    def ratio(self, frame: Frame) -> float:
        enlarged = 2 * self.margin * max(self.width, self.height)
        return max((self.width + enlarged) / frame.width, (self.height + enlarged) / frame.height)

    def cut(self, image: "Image.Image", frame: Frame, reduced: float) -> "Image.Image":
        left, top, right, bottom = (round(c / reduced) for c in self.corners(frame))
        if right <= 0 or bottom <= 0 or left >= image.width or top >= image.height:
            size = f"{image.width * reduced:.0f} x {image.height * reduced:.0f}"
            raise DataError(f"its box lies outside of the {size} picture")
        image = image.crop((left, top, max(right, left + 1), max(bottom, top + 1)))
        if image.size != frame.size:
            image = image.resize(frame.size, INTERPOLATIONS[frame.interpolation])
        return image

    def corners(self, frame: Frame) -> tuple[float, float, float, float]:
        """Return left, top, right and bottom of the enlarged box.

        >>> BoxRegion(10, 0, 20, 40).corners(Frame(8, 8, 1))
        (0.0, 0.0, 40.0, 40.0)
        """
        scale = self.ratio(frame)
        x, y = self.left + self.width / 2, self.top + self.height / 2
        half_width, half_height = scale * frame.width / 2, scale * frame.height / 2
        return x - half_width, y - half_height, x + half_width, y + half_height


@final
@attrs.frozen
class AlignedRegion(Region):
    """The image transformed by a similarity, such as that of landmarks to a template."""

    transform: Similarity

    def ratio(self, frame: Frame) -> float:
        return 1 / self.transform.scale

    def cut(self, image: "Image.Image", frame: Frame, reduced: float) -> "Image.Image":
        return warp(image, self.transform, frame.size, reduced)
