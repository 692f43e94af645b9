"""Faces brought upright to one place and size, by five points and a similarity.

A similarity turns, scales and shifts: z -> w z + t for points of the complex plane. The w and t of
the least squared distance have a closed form, which is that of S. Umeyama, "Least-squares
estimation of transformation parameters between two point patterns" (TPAMI 13(4), 1991), in the
plane and without reflection.
"""

from collections.abc import Mapping

import attrs
import numpy as np
import numpy.typing as npt
from PIL import Image

from mtlkit.plugins import DataError

Points = npt.NDArray[np.float64]

FIVE = 5
"""The eyes, the nose and the corners of the mouth, those to the left in the picture first."""

_EYE_LEFT, _EYE_RIGHT, _NOSE, _MOUTH_LEFT, _MOUTH_RIGHT = (
    slice(36, 42), slice(42, 48), slice(30, 31), slice(48, 49), slice(54, 55),
)  # fmt: skip


@attrs.frozen(eq=False)
class Template:
    """Where the five points (5, 2) shall lie in a picture of `size` x `size`: column and row.

    The middle of the first pixel is (0, 0). `channels` is 1 (gray) or 3 (RGB).
    """

    size: int
    channels: int
    points: Points


ARCFACE = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
)
"""The five points of insightface's 112 x 112 pictures, which most networks are trained on."""

_EYES_TO_MOUTH, _MIDDLE = 28.5, (49.5, 53.5)


def _framed_as_rendered() -> Points:
    """The same face, in 100 x 100 pictures framed as the rendered faces are.

    Those have 0.285 of the picture's height from eyes to mouth, the middle between them in the
    middle of the columns, at 0.54 of the height.
    """
    eyes, mouth = ARCFACE[:2].mean(0), ARCFACE[3:].mean(0)
    scale = _EYES_TO_MOUTH / np.linalg.norm(eyes - mouth)
    return np.asarray((ARCFACE - (eyes + mouth) / 2) * scale + _MIDDLE)


TEMPLATES: Mapping[str, Template] = {
    "100-gray": Template(100, 1, _framed_as_rendered()),
    "112-rgb": Template(112, 3, ARCFACE),
}
"""The templates by name: the paper's size, and that of insightface."""


@attrs.frozen
class Similarity:
    """z -> w z + t, from points of a photograph to those of a template.

    `residual` is the root of the mean squared distance that is left, in pixels of the template.
    """

    w: complex
    t: complex
    residual: float

    @property
    def scale(self) -> float:
        """How many pixels of the template one of the photograph becomes."""
        return abs(self.w)

    @property
    def degrees(self) -> float:
        """By how much the face is turned, clockwise as one sees it."""
        return float(np.degrees(np.angle(self.w)))

    def __call__(self, points: Points) -> Points:
        """The points (N, 2) moved."""
        moved = self.w * _complex(points) + self.t
        return np.stack([moved.real, moved.imag], 1)


def _complex(points: Points) -> npt.NDArray[np.complex128]:
    return np.asarray(points[:, 0] + 1j * points[:, 1])


def five_points(points: Points) -> Points:
    """The five points (5, 2) of five, or of the 68 that are numbered as iBUG's are.

    Of 68, an eye is the middle of its six points. Raises `DataError` for another number.
    """
    if len(points) == FIVE:
        return points
    if len(points) != 68:
        raise DataError(f"expected 5 or 68 points, found {len(points)}")
    parts = (_EYE_LEFT, _EYE_RIGHT, _NOSE, _MOUTH_LEFT, _MOUTH_RIGHT)
    return np.stack([points[part].mean(0) for part in parts])


def similarity(points: Points, template: Points) -> Similarity:
    """The similarity that brings `points` (N, 2) nearest to `template` (N, 2).

    Raises `DataError` for points that are not finite, or all in one place.

    >>> square = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    >>> found = similarity(square, 2 * square + 3)
    >>> round(found.scale, 6), round(found.residual, 6)
    (2.0, 0.0)
    """
    if not np.isfinite(points).all():
        raise DataError("a point is not finite")
    z, u = _complex(points), _complex(template)
    centred, aim = z - z.mean(), u - u.mean()
    spread = float((abs(centred) ** 2).sum())
    if spread < 1e-9 * max(1.0, float((abs(z) ** 2).sum())):
        raise DataError("all points are in one place")
    w = complex((centred.conj() * aim).sum() / spread)
    t = complex(u.mean() - w * z.mean())
    return Similarity(w, t, float(np.sqrt((abs(w * z + t - u) ** 2).mean())))


def warp(image: Image.Image, move: Similarity, size: int) -> Image.Image:
    """The picture `size` x `size` that `move` makes of `image`; what lies outside is black.

    Interpolation is linear, as insightface's. A photograph that shrinks to half or less is averaged
    first, else fine detail would turn into noise.
    """
    shrink = max(1, int(1 / move.scale))
    if shrink > 1:
        image = image.reduce(shrink)
    # Pillow's coordinates have (0.5, 0.5) in the middle of the first pixel, and go from the result
    # to the source: z = (v - t) / w
    back = 1 / move.w
    half = 0.5 + 0.5j
    start = -move.t * back - half * back + half
    across, down, offset = back / shrink, 1j * back / shrink, start / shrink
    data = (across.real, down.real, offset.real, across.imag, down.imag, offset.imag)
    return image.transform(
        (size, size), Image.Transform.AFFINE, data, resample=Image.Resampling.BILINEAR
    )
