"""Zoom in or out at a random place."""

import math
from typing import Any

import attrs

from mtlkit.component import above
from mtlkit.targets.geometry import Box
from mtlkit.transforms.base import Transform
from mtlkit.transforms.draw import Draw
from mtlkit.transforms.sample import Sample


def _not_below_low(scale: "Scale", field: "attrs.Attribute[Any]", value: float) -> None:
    if value < scale.low:
        raise ValueError(f"{field.name}: expected at least `low`, {scale.low}, got {value!r}")


@attrs.frozen(kw_only=True)
class Scale(Transform):
    """Zoom by a factor between `low` and `high` in the same frame, at a random place.

    Above 1 a part of the frame is enlarged; below 1 the frame is reduced, with black pixels without
    labels around it. A depth is divided by the zoom, a disparity multiplied.

    >>> Scale(low=1.0, high=1.5).high
    1.5
    """

    low: float = attrs.field(default=1.0, validator=above(0))
    high: float = attrs.field(default=1.5, validator=[above(0), _not_below_low])

    def apply(self, sample: Sample, draw: Draw) -> Sample:
        height, width = sample.frame
        zoom = math.exp(draw.uniform(math.log(self.low), math.log(self.high)))
        box_height, box_width = max(round(height / zoom), 1), max(round(width / zoom), 1)
        top = _between(draw, height - box_height)
        left = _between(draw, width - box_width)
        zoom = math.sqrt(height * width / (box_height * box_width))  # of whole pixels
        return sample.crop(Box(top, left, box_height, box_width), (height, width), zoom=zoom)


def _between(draw: Draw, room: int) -> int:
    """Return a whole number between 0 and `room`, which may be negative."""
    return draw.integer(min(room, 0), max(room, 0))
