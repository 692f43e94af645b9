"""The vocabulary of CMU Multi-PIE: cameras, lights and expressions.

Head space: x to the subject's left, y up, z out of the face. In the picture of a camera at yaw +90
degrees the face looks to the right edge, at -90 to the left edge. Source: R. Gross, I. Matthews,
J. Cohn, T. Kanade, S. Baker, "Multi-PIE", Image and Vision Computing 28(5), 2010.
"""

from __future__ import annotations

import attrs


@attrs.frozen
class Camera:
    """A camera at `yaw` and `elevation` in degrees.

    >>> POSES[6]
    Camera(yaw=0, elevation=0)
    """

    yaw: int
    elevation: int = 0


@attrs.frozen
class Light:
    """A flash at `azimuth` and `elevation` in degrees; without a flash only the room's light.

    >>> LIGHTS[NEUTRAL_LIGHT].flash
    False
    """

    azimuth: int = 0
    elevation: int = 0
    flash: bool = True


HEAD_HEIGHT_POSES = tuple(Camera(yaw) for yaw in range(-90, 91, 15))
OVERHEAD_POSES = (Camera(-45, 32), Camera(45, 32))
POSES = HEAD_HEIGHT_POSES + OVERHEAD_POSES
"""15 cameras: 13 at head height, 15 degrees apart, and two overhead at yaws of +-45 degrees."""
FRONTAL_POSE = 6

ROOM = Light(flash=False)
LIGHTS = (
    ROOM,
    *(Light(azimuth, 6) for azimuth in range(-90, 91, 15)),
    *(Light(azimuth, 42) for azimuth in (-70, -35, 0, 35, 70)),
    ROOM,
)
"""20 recordings: 18 flashes, and the room's light alone at the beginning and at the end, so 19
lights differ."""
DIFFERENT_LIGHTS = (*LIGHTS[:-1], Light(0, 78))
"""The lights of style 2: a lamp above in place of the second recording of the room's light."""
NEUTRAL_LIGHT = 0
LIGHT_PRIORITY = (0, 7, 4, 10, 16, 1, 13, 2, 12, 14, 18, 5, 9, 15, 17, 3, 11, 6, 8, 19)
"""A set of n lights has the first n of these."""

EXPRESSIONS = ("neutral", "smile", "surprise", "squint", "disgust", "scream")
NEUTRAL_EXPRESSION = 0

FACE_UNITS: dict[str, dict[str, float]] = {
    "neutral": {},
    "smile": {
        "mouthSmile": 0.95,
        "mouthDimple": 0.25,
        "mouthUpperUp": 0.22,
        "mouthLowerDown": 0.1,
        "cheekSquint": 0.7,
        "eyeSquint": 0.3,
        "jawOpen": 0.04,
    },
    "surprise": {
        "browInnerUp": 0.9,
        "browOuterUp": 0.8,
        "eyeWide": 0.8,
        "jawOpen": 0.5,
        "mouthFunnel": 0.15,
    },
    "squint": {
        "eyeSquint": 0.9,
        "eyeBlink": 0.5,
        "cheekSquint": 0.8,
        "browDown": 0.35,
        "mouthPress": 0.35,
        "mouthStretch": 0.2,
    },
    "disgust": {
        "noseSneer": 1.0,
        "browDown": 0.75,
        "mouthUpperUp": 0.65,
        "eyeSquint": 0.45,
        "mouthFrown": 0.45,
        "mouthShrugLower": 0.3,
    },
    "scream": {
        "jawOpen": 0.95,
        "eyeBlink": 0.75,
        "eyeSquint": 0.6,
        "browDown": 0.6,
        "mouthStretch": 0.5,
        "mouthLowerDown": 0.45,
        "mouthUpperUp": 0.3,
        "noseSneer": 0.35,
    },
}
"""Weights of ARKit face units by expression, equal on both sides of the face."""
