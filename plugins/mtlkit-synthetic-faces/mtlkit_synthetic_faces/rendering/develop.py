"""From linear light to the gray levels of a photograph: blur, exposure, tone, noise."""

import numpy as np
import numpy.typing as npt

from mtlkit_synthetic_faces.compiled import compiled
from mtlkit_synthetic_faces.value_noise import hashed

Floats = npt.NDArray[np.float32]
_CURVE_STEPS = 2048


def tone_curve() -> Floats:
    """Return the curve (2048,) from linear light 0..2 to gray 0..1: gamma 2.2, soft shoulder."""
    linear = np.linspace(0, 2, _CURVE_STEPS)
    return np.asarray(np.minimum((linear * 1.25 / (1 + 0.25 * linear)), 1) ** (1 / 2.2), np.float32)


@compiled
def develop(
    linear: Floats,
    exposure: float,
    blur: float,
    noise: float,
    key: int,
    curve: Floats,
    out: npt.NDArray[np.uint8],
) -> None:
    """Convert `linear` (C,H,W) to gray levels `out` (C,H,W).

    `blur` in 0..1 is the weight of a 3x3 binomial filter; `noise` is a standard deviation relative
    to the full scale. Noise is drawn from a counter, so it does not depend on the order of work.
    """
    channels, rows, columns = linear.shape
    steps = np.float32((_CURVE_STEPS - 1) * 0.5)
    side = np.float32(0.25 * blur)
    middle = np.float32(1) - np.float32(2) * side
    gain = np.float32(exposure)
    line = np.empty(columns, np.float32)
    for ch in range(channels):
        for row in range(rows):
            above, below = max(row - 1, 0), min(row + 1, rows - 1)
            for column in range(columns):
                line[column] = middle * linear[ch, row, column] + side * (
                    linear[ch, above, column] + linear[ch, below, column]
                )
            for column in range(columns):
                left, right = line[max(column - 1, 0)], line[min(column + 1, columns - 1)]
                value = (middle * line[column] + side * (left + right)) * gain * steps
                level = curve[min(int(value), _CURVE_STEPS - 1)]
                if noise > 0:
                    index = (ch * rows + row) * columns + column
                    # the sum of three uniforms is nearly normal, with variance 1/4
                    normal = hashed(index, 1, 0, key) + hashed(index, 2, 0, key)
                    normal += hashed(index, 3, 0, key) - 1.5
                    level += np.float32(2 * noise * normal)
                out[ch, row, column] = int(min(max(level * 255 + 0.5, 0.0), 255.0))
