"""Placement of the labels of points: the side of its point that each label is drawn on."""

import math
from collections.abc import Sequence
from typing import Any

from mtlkit.report.blocks import Chart

_SIDES = (
    *(("middle right", 0.0, 0.0), ("middle left", -1.0, 0.0)),
    *(("top center", -0.5, 0.05), ("bottom center", -0.5, -0.05)),
)
"""Sides of a point, and the start of a label there: in its widths, and in heights of the plot."""


def label_sides(chart: Chart) -> dict[str, str]:
    """Return the side on which each named point has room for its label; crowded ones get none."""
    drawn = {k: s for k, s in chart.series.items() if s.style.line in ("", "none")}
    xs = [float(x) for series in drawn.values() for x in series.x]
    ys = [y for series in drawn.values() for y in series.y]
    sides: dict[str, str] = {}
    # left, right, lower and upper bounds of points and labels
    taken = [(x, x, y, y) for x, y in zip(_unit(xs, xs), _unit(ys, ys), strict=True)]
    for name, series in drawn.items():
        if not series.group:
            continue
        (x,), (y,) = _unit(series.x[:1], xs), _unit(series.y[:1], ys)
        width = 0.014 * len(name) + 0.01
        for side, shift, up in _SIDES:
            left = x + shift * width + 0.02 * (1 + 2 * shift)
            box = (left, left + width, y + up - 0.03, y + up + 0.03)
            inside = box[0] > -0.03 and box[1] < 1.06
            if inside and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                sides[name] = side
                break
    return sides


def _unit(values: Sequence[Any], of: Sequence[float]) -> list[float]:
    low, spread = min(of), (max(of) - min(of)) or math.inf
    return [(float(value) - low) / spread for value in values]


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[1] and b[0] < a[1] and a[2] < b[3] and b[2] < a[3]
