"""Templates to which faces are aligned by a similarity transform of five landmarks."""

from collections.abc import Mapping

import attrs
import numpy as np
import numpy.typing as npt

from mtlkit.data import FACE

Points = npt.NDArray[np.float64]


@attrs.frozen(eq=False)
class Template:
    """Target columns and rows of the five points (5, 2) in an image of `size` x `size` pixels.

    The center of the first pixel is (0, 0). `channels` is 1 (gray) or 3 (RGB).
    """

    size: int
    channels: int
    points: Points


ARCFACE: Points = np.array([*FACE.values()]) * 112 - 0.5
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
