"""The z-buffer: the nearest triangle of each sample, and its depth, for a camera or a light."""

import numpy as np
import numpy.typing as npt

from mtlkit_synthetic_faces.compiled import compiled
from mtlkit_synthetic_faces.head import HAIR

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int32]
FAR = np.float32(1e9)
_HAIR = np.uint8(HAIR)


@compiled
def visible_triangles(
    screen: Floats,
    triangles: Integers,
    material: npt.NDArray[np.uint8],
    corners: Floats,
    alpha: Floats,
    depth: Floats,
    nearest: Integers,
) -> None:
    """Write depth and index of the nearest triangle of each sample into `depth` and `nearest`.

    `screen` (V,3) holds column, row, depth in samples; `corners` (T,3,2) the texels whose `alpha`
    (rows, columns) cuts out hair. Triangles facing away are skipped, except hair and accessories.
    `depth` must be filled with FAR and `nearest` with -1.
    """
    rows, columns = depth.shape
    width = alpha.shape[1]
    for t in range(len(triangles)):
        i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        x0, y0 = screen[i, 0], screen[i, 1]
        x1, y1 = screen[j, 0], screen[j, 1]
        x2, y2 = screen[k, 0], screen[k, 1]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        hair = material[t] == _HAIR
        two_sided = material[t] >= _HAIR  # hair and accessories
        if area > -1e-7 and not (two_sided and area > 1e-7):
            continue
        left = max(int(np.ceil(min(x0, x1, x2) - np.float32(0.5))), 0)
        right = min(int(np.floor(max(x0, x1, x2) - np.float32(0.5))), columns - 1)
        top = max(int(np.ceil(min(y0, y1, y2) - np.float32(0.5))), 0)
        bottom = min(int(np.floor(max(y0, y1, y2) - np.float32(0.5))), rows - 1)
        if left > right or top > bottom:
            continue
        over = np.float32(1) / area
        ax, ay = (y1 - y2) * over, (x2 - x1) * over
        bx, by = (y2 - y0) * over, (x0 - x2) * over
        z0, z1, z2 = screen[i, 2], screen[j, 2], screen[k, 2]
        for row in range(top, bottom + 1):
            y = np.float32(row) + np.float32(0.5)
            for column in range(left, right + 1):
                x = np.float32(column) + np.float32(0.5)
                a = (x - x2) * ax + (y - y2) * ay
                b = (x - x2) * bx + (y - y2) * by
                c = np.float32(1) - a - b
                if a < 0 or b < 0 or c < 0:
                    continue
                z = a * z0 + b * z1 + c * z2
                if z >= depth[row, column]:
                    continue
                if hair:
                    u = a * corners[t, 0, 0] + b * corners[t, 1, 0] + c * corners[t, 2, 0]
                    v = a * corners[t, 0, 1] + b * corners[t, 1, 1] + c * corners[t, 2, 1]
                    if alpha[int(v), int(u) % width] < 0.5:
                        continue
                depth[row, column] = z
                nearest[row, column] = t
