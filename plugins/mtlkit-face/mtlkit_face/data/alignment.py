"""Align faces to a template by a similarity transform of five landmarks.

A similarity rotates, scales and translates: z -> w z + t for points of the complex plane. The w and
t of least squared distance have a closed form: S. Umeyama, "Least-squares estimation of
transformation parameters between two point patterns" (TPAMI 13(4), 1991), in two dimensions and
without reflection.
"""

from collections.abc import Mapping

import attrs
import numpy as np
import numpy.typing as npt
from PIL import Image

from mtlkit.plugins import DataError

Points = npt.NDArray[np.float64]

FIVE = 5
"""Number of landmarks: eyes, nose and corners of the mouth, the left one in the image first."""

_EYE_LEFT, _EYE_RIGHT, _NOSE, _MOUTH_LEFT, _MOUTH_RIGHT = (
    slice(36, 42), slice(42, 48), slice(30, 31), slice(48, 49), slice(54, 55),
)  # fmt: skip


@attrs.frozen(eq=False)
class Template:
    """Target columns and rows of the five points (5, 2) in an image of `size` x `size` pixels.

    The center of the first pixel is (0, 0). `channels` is 1 (gray) or 3 (RGB).
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
"""Five points of insightface's 112 x 112 images, the training format of most networks."""

_EYES_TO_MOUTH, _MIDDLE = 28.5, (49.5, 53.5)


def _framed_as_rendered() -> Points:
    """Return the same points in 100 x 100 images, with the framing of the rendered faces.

    The distance from eyes to mouth is 0.285 of the image height; the midpoint between them is in
    the middle of the columns, at 0.54 of the height.
    """
    eyes, mouth = ARCFACE[:2].mean(0), ARCFACE[3:].mean(0)
    scale = _EYES_TO_MOUTH / np.linalg.norm(eyes - mouth)
    return np.asarray((ARCFACE - (eyes + mouth) / 2) * scale + _MIDDLE)


TEMPLATES: Mapping[str, Template] = {
    "100-gray": Template(100, 1, _framed_as_rendered()),
    "112-rgb": Template(112, 3, ARCFACE),
}
"""Templates by name: the paper's size and insightface's."""


@attrs.frozen
class Similarity:
    """Transform z -> w z + t from points of a photograph to points of a template.

    `residual` is the root mean squared distance after the transform, in pixels of the template.
    """

    w: complex
    t: complex
    residual: float

    @property
    def scale(self) -> float:
        """Pixels of the template per pixel of the photograph."""
        return abs(self.w)

    @property
    def degrees(self) -> float:
        """Clockwise rotation, as displayed."""
        return float(np.degrees(np.angle(self.w)))

    def __call__(self, points: Points) -> Points:
        """Return the transformed points (N, 2)."""
        moved = self.w * _complex(points) + self.t
        return np.stack([moved.real, moved.imag], 1)


def _complex(points: Points) -> npt.NDArray[np.complex128]:
    return np.asarray(points[:, 0] + 1j * points[:, 1])


def five_points(points: Points) -> Points:
    """Return the five points (5, 2) of 5 points, or of 68 in the order of iBUG 300-W.

    Of 68 points, an eye is the mean of its six points. Raises `DataError` for another number.
    """
    if len(points) == FIVE:
        return points
    if len(points) != 68:
        raise DataError(f"got {len(points)} points, expected 5 or 68")
    parts = (_EYE_LEFT, _EYE_RIGHT, _NOSE, _MOUTH_LEFT, _MOUTH_RIGHT)
    return np.stack([points[part].mean(0) for part in parts])


def similarity(points: Points, template: Points) -> Similarity:
    """Return the similarity of least squared distance from `points` (N, 2) to `template` (N, 2).

    Raises `DataError` if a point is not finite, or if all points coincide.

    >>> square = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    >>> transform = similarity(square, 2 * square + 3)
    >>> round(transform.scale, 6), round(transform.residual, 6)
    (2.0, 0.0)
    """
    if not np.isfinite(points).all():
        raise DataError("a point is not finite")
    z, u = _complex(points), _complex(template)
    centered, target = z - z.mean(), u - u.mean()
    spread = float((abs(centered) ** 2).sum())
    if spread < 1e-9 * max(1.0, float((abs(z) ** 2).sum())):
        raise DataError("all points coincide")
    w = complex((centered.conj() * target).sum() / spread)
    t = complex(u.mean() - w * z.mean())
    return Similarity(w, t, float(np.sqrt((abs(w * z + t - u) ** 2).mean())))


def warp(image: Image.Image, transform: Similarity, size: int) -> Image.Image:
    """Return `image` transformed to `size` x `size` pixels; pixels outside of `image` are black.

    Interpolation is bilinear, as in insightface. A photograph that shrinks to half or less is
    box-averaged first, to avoid aliasing.
    """
    shrink = max(1, int(1 / transform.scale))
    if shrink > 1:
        image = image.reduce(shrink)
    # Pillow's transforms map the result to the source, z = (v - t) / w, with (0.5, 0.5) as the
    # center of the first pixel
    back = 1 / transform.w
    half = 0.5 + 0.5j
    start = -transform.t * back - half * back + half
    across, down, offset = back / shrink, 1j * back / shrink, start / shrink
    data = (across.real, down.real, offset.real, across.imag, down.imag, offset.imag)
    return image.transform(
        (size, size), Image.Transform.AFFINE, data, resample=Image.Resampling.BILINEAR
    )
