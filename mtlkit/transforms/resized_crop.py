"""Cut out a box of random size and shape, and resize it.

Paper: Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, section 6.
"""

import math

import attrs

from mtlkit.component import above, between
from mtlkit.targets.geometry import Box
from mtlkit.transforms.base import Transform
from mtlkit.transforms.draw import Draw
from mtlkit.transforms.sample import Sample
from mtlkit.transforms.sizes import as_size, height_and_width


@attrs.frozen(kw_only=True)
class ResizedCrop(Transform):
    """Cut out a box with `min_area` to all of the area of the frame, and resize it to `size`.

    Its ratio of width to height differs from that of the frame by a factor of at most `max_ratio`.
    A depth is divided by the zoom, the root of the ratio of the areas of frame and box.
    """

    size: int | tuple[int, int] = attrs.field(validator=height_and_width)
    min_area: float = attrs.field(default=0.08, validator=between(0, 1))
    max_ratio: float = attrs.field(default=4 / 3, validator=above(0))

    def apply(self, sample: Sample, draw: Draw) -> Sample:
        height, width = sample.frame
        side = math.sqrt(draw.uniform(self.min_area, 1))
        bound = abs(math.log(self.max_ratio))
        stretch = math.exp(draw.uniform(-bound, bound) / 2)
        box_height = min(max(round(height * side / stretch), 1), height)
        box_width = min(max(round(width * side * stretch), 1), width)
        top = draw.integer(0, height - box_height)
        left = draw.integer(0, width - box_width)
        zoom = math.sqrt(height * width / (box_height * box_width))
        return sample.crop(Box(top, left, box_height, box_width), as_size(self.size), zoom=zoom)
