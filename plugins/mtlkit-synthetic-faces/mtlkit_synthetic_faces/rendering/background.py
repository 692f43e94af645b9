"""The background: a wall with a gradient and a few soft stains."""

import numpy as np
import numpy.typing as npt

from mtlkit_synthetic_faces.protocol import POSES, Light
from mtlkit_synthetic_faces.subject import SessionTraits

Floats = npt.NDArray[np.float32]


def wall(session: SessionTraits, pose: int, size: int, channels: int) -> Floats:
    """Return the reflectance (C, size*size) of the wall behind the head, which varies by camera."""
    draw = session.background
    yaw = np.radians(POSES[pose].yaw)
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size - 0.5
    turn = 2 * np.pi * draw[0] + 1.3 * yaw
    level = 0.05 + 0.45 * draw[1] ** 1.5
    shade = 1 + 0.6 * draw[2] * (np.cos(turn) * x + np.sin(turn) * y)
    for k in range(3):
        waves = (1.0 + 2 * draw[3 + k]) * np.array([np.cos(turn + 2 * k), np.sin(turn + 2 * k)])
        phase = 9 * draw[3 + k] + 2 * yaw
        shade = shade + 0.09 * np.sin(3 * (waves[0] * x + waves[1] * y) + phase)
    tint = 1 + 0.12 * (draw[5:8] - 0.5) if channels == 3 else np.ones(1)
    picture = np.maximum(shade[None] * level * tint[:, None, None], 0.003)
    return np.ascontiguousarray(picture.reshape(channels, -1), np.float32)


def wall_light(light: Light, pose: int) -> float:
    """Return the brightness of the wall: weak under a flash, and weakest from behind it."""
    if not light.flash:
        return 0.6
    turn = np.radians(light.azimuth - POSES[pose].yaw)
    return float(0.25 + 0.35 * np.cos(turn / 2) ** 2)
