"""Cut out a box at a random place."""

import attrs

from mtlkit.component import at_least
from mtlkit.targets.geometry import Box, Size
from mtlkit.transforms.base import Transform
from mtlkit.transforms.draw import Draw
from mtlkit.transforms.sample import Sample
from mtlkit.transforms.sizes import as_size, height_and_width, require_room


@attrs.frozen(kw_only=True)
class Crop(Transform):
    """Cut out a box of `size` pixels, a side or height and width, at a random place.

    The frame is first widened by `padding` pixels on each side, black and without labels.
    """

    size: int | tuple[int, int] = attrs.field(validator=height_and_width)
    padding: int = attrs.field(default=0, validator=at_least(0))

    def apply(self, sample: Sample, draw: Draw) -> Sample:
        frame, size = sample.frame, as_size(self.size)
        padded: Size = (frame[0] + 2 * self.padding, frame[1] + 2 * self.padding)
        require_room("crop", padded, size)
        top = draw.integer(0, padded[0] - size[0]) - self.padding
        left = draw.integer(0, padded[1] - size[1]) - self.padding
        return sample.crop(Box(top, left, *size), size)
