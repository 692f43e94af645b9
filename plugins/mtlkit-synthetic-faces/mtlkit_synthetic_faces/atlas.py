"""The texture atlas of a head: a map of directions from its center, skin above, hair below.

Columns are azimuths, with the front in the middle; the front half of the head has five eighths of
the columns. Rows are latitudes from +90 downwards. The skin and the hair shell, which has an alpha,
use the same map in two halves of the picture.
"""

import attrs
import numpy as np
import numpy.typing as npt

from mtlkit_synthetic_faces.compiled import compiled
from mtlkit_synthetic_faces.head import SKIN, HeadModel

Floats = npt.NDArray[np.float32]
CENTER = (0.0, 7.2, 0.35)
LOWEST_LATITUDE = -68.0


@attrs.frozen
class AtlasSize:
    """Columns, rows of the skin map, and rows of the hair map below it."""

    width: int
    skin: int
    hair: int

    @classmethod
    def fitting(cls, pixels: int) -> "AtlasSize":
        """Return the size with about one texel a sample for a picture of `pixels` samples."""
        width = int(np.clip(-(-pixels * 2.4 // 32) * 32, 160, 576))
        return cls(width, width * 9 // 16, width // 4)


def column_of(azimuth: Floats, width: int) -> Floats:
    """Return columns (float) of azimuths in radians; 0 is the front."""
    t = azimuth / np.pi
    return np.asarray(width * (0.5 + 0.5 * np.sign(t) * (1.5 * abs(t) - 0.5 * t * t)), np.float32)


def azimuth_of(column: Floats, width: int) -> Floats:
    """Return azimuths in radians of columns: the inverse of `column_of`."""
    s = 2 * column / width - 1
    t = np.sign(s) * (1.5 - np.sqrt(np.maximum(2.25 - 2 * abs(s), 0)))
    return np.asarray(t * np.pi, np.float32)


def row_of(latitude: Floats, rows: int) -> Floats:
    """Return rows (float) of latitudes in degrees."""
    return np.asarray((90 - latitude) / (90 - LOWEST_LATITUDE) * rows, np.float32)


def latitude_of(row: Floats, rows: int) -> Floats:
    """Return latitudes in degrees of rows: the inverse of `row_of`."""
    return np.asarray(90 - row / rows * (90 - LOWEST_LATITUDE), np.float32)


def directions(points: Floats) -> tuple[Floats, Floats]:
    """Return azimuths in radians and latitudes in degrees of points (V,3), from the center."""
    x, y, z = (points[:, k] - np.float32(CENTER[k]) for k in range(3))
    return np.arctan2(x, z), np.degrees(np.arctan2(y, np.hypot(x, z)))


def corner_coordinates(model: HeadModel, size: AtlasSize) -> Floats:
    """Return column and row (T,3,2) of each triangle corner; columns continue across the seam."""
    azimuth, latitude = directions(model.rest)
    column = column_of(azimuth, size.width)[model.triangles]
    row = np.clip(row_of(latitude, size.skin), 0.5, size.skin - 1.5)[model.triangles]
    jump = column.max(1, keepdims=True) - column > size.width / 2
    return np.stack([np.where(jump, column + size.width, column), row], 2).astype(np.float32)


@compiled
def _outermost(
    corners: Floats,
    triangles: npt.NDArray[np.int32],
    rest: Floats,
    use: npt.NDArray[np.bool_],
    center: Floats,
    out: Floats,
    far: Floats,
) -> None:
    rows, width = far.shape
    for t in range(len(triangles)):
        if not use[t]:
            continue
        x0, y0 = corners[t, 0, 0], corners[t, 0, 1]
        x1, y1 = corners[t, 1, 0], corners[t, 1, 1]
        x2, y2 = corners[t, 2, 0], corners[t, 2, 1]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if abs(area) < 1e-9:
            continue
        for row in range(max(int(min(y0, y1, y2)), 0), min(int(max(y0, y1, y2)) + 2, rows)):
            for column in range(int(min(x0, x1, x2)), int(max(x0, x1, x2)) + 2):
                a = ((x1 - column) * (y2 - row) - (x2 - column) * (y1 - row)) / area
                b = ((x2 - column) * (y0 - row) - (x0 - column) * (y2 - row)) / area
                c = 1 - a - b
                if a < -1e-4 or b < -1e-4 or c < -1e-4:
                    continue
                x = a * rest[triangles[t, 0], 0] + b * rest[triangles[t, 1], 0]
                y = a * rest[triangles[t, 0], 1] + b * rest[triangles[t, 1], 1]
                z = a * rest[triangles[t, 0], 2] + b * rest[triangles[t, 1], 2]
                x += c * rest[triangles[t, 2], 0]
                y += c * rest[triangles[t, 2], 1]
                z += c * rest[triangles[t, 2], 2]
                d = (x - center[0]) ** 2 + (y - center[1]) ** 2 + (z - center[2]) ** 2
                if d > far[row, column % width]:
                    far[row, column % width] = d
                    out[row, column % width, 0] = x
                    out[row, column % width, 1] = y
                    out[row, column % width, 2] = z


def rest_positions(model: HeadModel, size: AtlasSize, *, ears: bool = True) -> Floats:
    """Return the outermost point (rows, width, 3) of the rest head in each direction.

    Directions that meet no skin (the slits of eyes and mouth; the ears, without `ears`) keep a
    point on a sphere of radius 0.8, near enough to be painted.
    """
    column, row = np.meshgrid(np.arange(size.width), np.arange(size.skin))
    azimuth = azimuth_of(column.astype(np.float32), size.width)
    latitude = np.radians(latitude_of(row.astype(np.float32), size.skin))
    level = np.cos(latitude)
    unit = np.stack([level * np.sin(azimuth), np.sin(latitude), level * np.cos(azimuth)], 2)
    center = np.array(CENTER, np.float32)
    out = (center + np.float32(0.8) * unit).astype(np.float32)
    inside = model.masks[1][model.triangles].max(1) > 0.5
    use = (model.material == SKIN) & ~inside
    if not ears:
        use &= model.masks[2][model.triangles].max(1) < 0.2
    far = np.zeros((size.skin, size.width), np.float32)
    _outermost(corner_coordinates(model, size), model.triangles, model.rest, use, center, out, far)
    return out
