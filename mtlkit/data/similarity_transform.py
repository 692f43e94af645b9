"""Similarity transforms of images: rotation, one scale and translation.

A similarity is z -> w z + t for points of the complex plane. The w and t of least squared distance
have a closed form: S. Umeyama, "Least-squares estimation of transformation parameters between two
point patterns" (TPAMI 13(4), 1991), in two dimensions and without reflection.
"""

from typing import TYPE_CHECKING

import attrs
import numpy as np
import numpy.typing as npt

from mtlkit.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

Points = npt.NDArray[np.float64]


@attrs.frozen
class Similarity:
    """Transform z -> w z + t from points of an image to points of a template.

    `residual` is the root mean squared distance after the transform, in pixels of the template.
    """

    w: complex
    t: complex
    residual: float

    @property
    def scale(self) -> float:
        """Pixels of the template per pixel of the image."""
        return abs(self.w)

    @property
    def degrees(self) -> float:
        """Clockwise rotation, as displayed."""
        return float(np.degrees(np.angle(self.w)))

    def __call__(self, points: Points) -> Points:
        """Return the transformed points (N, 2)."""
        moved = self.w * _complex(points) + self.t
        return np.stack([moved.real, moved.imag], 1)


def similarity(points: Points, template: Points) -> Similarity:
    """Return the similarity of least squared distance from `points` (N, 2) to `template` (N, 2).

    Points with NaN are missing. Raises `DataError` if fewer than two are left, if one is infinite,
    or if all points coincide.

    >>> square = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    >>> transform = similarity(square, 2 * square + 3)
    >>> round(transform.scale, 6), round(transform.residual, 6)
    (2.0, 0.0)
    """
    known = ~np.isnan(points).any(axis=1)
    if known.sum() < 2:
        raise DataError(f"has {known.sum()} of {len(points)} points, expected two or more")
    points, template = points[known], template[known]
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


def warp(
    image: "Image.Image", transform: Similarity, size: tuple[int, int], reduced: float = 1.0
) -> "Image.Image":
    """Return `image` transformed to `size` (width, height); pixels outside of it are black.

    `transform` is that of the image before it was reduced by the factor `reduced`. Interpolation
    is bilinear, as in insightface. An image that shrinks to half or less is box-averaged first, to
    avoid aliasing.
    """
    from PIL import Image  # a recipe is read without it

    shrink = max(1, int(1 / (transform.scale * reduced)))
    if shrink > 1:
        image = image.reduce(shrink)
    # Pillow's transforms map the result to the source, z = (v - t) / w, with (0.5, 0.5) as the
    # center of the first pixel
    back = 1 / transform.w
    half = 0.5 + 0.5j
    start = -transform.t * back - half * back + half
    ratio = shrink * reduced
    across, down, offset = back / ratio, 1j * back / ratio, start / ratio
    data = (across.real, down.real, offset.real, across.imag, down.imag, offset.imag)
    return image.transform(size, Image.Transform.AFFINE, data, resample=Image.Resampling.BILINEAR)


def _complex(points: Points) -> npt.NDArray[np.complex128]:
    return np.asarray(points[:, 0] + 1j * points[:, 1])
