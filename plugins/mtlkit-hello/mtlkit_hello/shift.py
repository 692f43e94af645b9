"""The transform `shift`: the frame moved by a few pixels."""

import attrs

from mtlkit.data import Box, Draw, Sample, Transform
from mtlkit.plugins import at_least


@attrs.frozen(kw_only=True)
class Shift(Transform):
    """Move the frame by at most `pixels` in each direction; new pixels are black."""

    pixels: int = attrs.field(default=2, validator=at_least(0))

    def apply(self, sample: Sample, draw: Draw) -> Sample:
        top = draw.integer(-self.pixels, self.pixels)
        left = draw.integer(-self.pixels, self.pixels)
        return sample.crop(Box(top, left, *sample.frame), sample.frame)
