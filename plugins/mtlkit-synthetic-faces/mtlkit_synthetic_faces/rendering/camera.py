"""Cameras around a head, aligned on the neutral face's eyes and mouth."""

import attrs
import numpy as np
import numpy.typing as npt

from mtlkit_synthetic_faces.head import EYE, HeadModel
from mtlkit_synthetic_faces.protocol import Camera

Floats = npt.NDArray[np.float32]
EYES_TO_MOUTH = 0.285  # as a part of the picture's height
ROW = 0.54  # of the middle between eyes and mouth, from the top
_BEHIND = 0.9  # distance of the pivot behind the face, in eye-mouth distances
_DISTANCE = 13.0  # decimeters from the camera to the pivot


@attrs.frozen(eq=False)
class Alignment:
    """The position of a neutral face: its pivot `middle` (3,), and `reach` from eyes to mouth.

    All expressions use that of the neutral face; otherwise the size of the face in the picture
    would reveal the expression.
    """

    middle: Floats
    reach: float

    @classmethod
    def of(cls, model: HeadModel, neutral: Floats) -> "Alignment":
        """Measure the alignment of a neutral head (V,3)."""
        eye = np.unique(model.triangles[model.material == EYE])
        eyes = (neutral[eye][model.rest[eye, 0] > 0].mean(0)
                + neutral[eye][model.rest[eye, 0] < 0].mean(0)) / 2  # fmt: skip
        mouth = neutral[model.masks[0] > 0.5].mean(0)
        eyes[2] += 0.14  # the middle of an eyeball lies behind the face
        reach = float(np.linalg.norm(eyes - mouth))
        middle = (eyes + mouth) / 2
        middle[2] -= _BEHIND * reach
        return cls(middle.astype(np.float32), reach)


@attrs.frozen(eq=False)
class View:
    """The view of a camera: rows of `axes` (3,3) are right, down and away from it."""

    axes: Floats
    scale: float
    shift: Floats
    middle: Floats
    distance: float

    @property
    def toward(self) -> Floats:
        """Unit vector from the head to the camera."""
        return np.asarray(-self.axes[2], np.float32)

    def project(self, points: Floats) -> Floats:
        """Return column, row (in samples of the picture) and depth (V,3) of points."""
        turned = (points - self.middle) @ self.axes.T
        near = self.distance / (self.distance + turned[:, 2:])
        flat = turned[:, :2] * near * self.scale + self.shift
        return np.ascontiguousarray(np.concatenate([flat, turned[:, 2:]], 1), np.float32)


def view_of(
    camera: Camera,
    alignment: Alignment,
    samples: int,
    *,
    jitter: tuple[float, float] = (0.0, 0.0),
    roll: float = 0.0,
    zoom: float = 1.0,
    turn: tuple[float, float] = (0.0, 0.0),
) -> View:
    """Return a camera's view for a picture of `samples` x `samples`; roll is in degrees.

    `turn` adds degrees to the yaw and to the elevation of the camera.

    >>> face = Alignment(np.zeros(3, np.float32), 0.7)
    >>> view_of(Camera(0), face, 100).project(np.zeros((1, 3), np.float32)).round(1).tolist()
    [[50.0, 54.0, 0.0]]
    """
    yaw, rise, tilt = np.radians([camera.yaw + turn[0], camera.elevation + turn[1], roll])
    level = np.cos(rise)
    away = np.array([np.sin(yaw) * level, -np.sin(rise), -np.cos(yaw) * level])
    right = np.array([np.cos(yaw), 0.0, np.sin(yaw)])
    down = np.cross(away, right)
    axes = np.stack(
        [
            np.cos(tilt) * right - np.sin(tilt) * down,
            np.sin(tilt) * right + np.cos(tilt) * down,
            away,
        ]
    )
    distance = _DISTANCE * alignment.reach / 0.66
    return View(
        axes=axes.astype(np.float32),
        scale=EYES_TO_MOUTH * samples / alignment.reach * zoom,
        shift=np.array([samples * 0.5 + jitter[0], samples * ROW + jitter[1]], np.float32),
        middle=alignment.middle,
        distance=distance,
    )
