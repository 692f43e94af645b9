"""Smooth noise in three dimensions and hashed numbers, inside compiled kernels."""

import numpy as np

from mtlkit_synthetic_faces.compiled import compiled


@compiled
def hashed(a: int, b: int, c: int, key: int) -> float:
    """Return a number in [0, 1) from four whole numbers, the same on every machine."""
    h = (a * 0x27D4EB2D + b * 0x165667B1 + c * 0x1B873593 + key * 0x2545F491) & 0xFFFFFFFF
    h = ((h ^ (h >> 15)) * 0x2C1B3C6D) & 0xFFFFFFFF
    h = ((h ^ (h >> 12)) * 0x297A2D39) & 0xFFFFFFFF
    return ((h ^ (h >> 15)) & 0xFFFFFF) / 16777216.0


@compiled
def noise(x: float, y: float, z: float, key: int) -> float:
    """Return value noise in [-1, 1]: hashed numbers at whole coordinates, interpolated smoothly."""
    ix, iy, iz = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
    u, v, w = x - ix, y - iy, z - iz
    u, v, w = u * u * (3 - 2 * u), v * v * (3 - 2 * v), w * w * (3 - 2 * w)
    total = 0.0
    for dz in range(2):
        for dy in range(2):
            low = hashed(ix, iy + dy, iz + dz, key)
            high = hashed(ix + 1, iy + dy, iz + dz, key)
            share = (v if dy == 1 else 1 - v) * (w if dz == 1 else 1 - w)
            total += share * (low + (high - low) * u)
    return 2 * total - 1


@compiled
def smooth_step(low: float, high: float, value: float) -> float:
    """Return 0 below `low`, 1 above `high`, and a smooth step between."""
    t = min(max((value - low) / (high - low), 0.0), 1.0)
    return t * t * (3 - 2 * t)
