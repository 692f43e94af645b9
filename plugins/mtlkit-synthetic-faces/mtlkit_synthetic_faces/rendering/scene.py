"""Procedural scenes: the surroundings behind a head, and objects in front of it."""

import numpy as np
import numpy.typing as npt
from PIL import Image

Floats = npt.NDArray[np.float32]


def _resized(picture: Floats, size: int) -> Floats:
    """Return a picture (H,W) at another size, interpolated or averaged."""
    image = Image.fromarray(picture).resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(image, np.float32)


def scene(random: np.random.Generator, size: int, channels: int) -> Floats:
    """Return the reflectance (C, size, size) of a scene: a gradient, boxes, stains, out of focus.

    The gray of a scene varies from nearly black to nearly white, as does its contrast.
    """
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size - 0.5
    turn = random.uniform(0, 2 * np.pi)
    level = random.beta(0.8, 1.6)
    gray = level * (1 + random.uniform(0, 0.8) * (np.cos(turn) * x + np.sin(turn) * y))
    contrast = random.beta(0.8, 1.2)
    for _ in range(random.integers(0, 14)):  # shelves, frames, windows, furniture
        left, top = random.uniform(-0.6, 0.5, 2)
        wide, high = random.uniform(0.03, 0.6, 2)
        inside = (x > left) & (x < left + wide) & (y > top) & (y < top + high)
        gray = np.where(inside, gray + contrast * (random.beta(0.8, 1.6) - gray), gray)
    for count in (4, 11):  # stains, leaves
        stains = random.normal(0, 0.3 * contrast, (count, count)).astype(np.float32)
        gray = gray * (1 + random.uniform(0, 1) * _resized(stains, size))
    focus = int(random.integers(max(size // 10, 3), size + 1))
    gray = _resized(_resized(gray.astype(np.float32), focus), size)
    tint = 1 + 0.3 * random.uniform(-0.5, 0.5, channels) if channels > 1 else np.ones(1)
    picture = np.clip(gray, 0.004, 0.9)[None] * tint[:, None, None]
    return np.ascontiguousarray(picture, np.float32)


def object_mask(random: np.random.Generator, size: int) -> npt.NDArray[np.bool_]:
    """Return a mask (size, size) of an object in front of the face: a bar, a disk or an edge."""
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size - 0.5
    turn = random.uniform(0, 2 * np.pi)
    along, across = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
    kind = random.integers(3)
    if kind == 0:
        return np.asarray(abs(across - random.uniform(-0.3, 0.3)) < random.uniform(0.03, 0.12))
    if kind == 1:
        middle, radius = random.uniform(-0.35, 0.35, 2), random.uniform(0.08, 0.2, 2)
        return np.asarray(
            ((along - middle[0]) / radius[0]) ** 2 + ((across - middle[1]) / radius[1]) ** 2 < 1
        )
    return np.asarray(along > random.uniform(0.12, 0.4))
