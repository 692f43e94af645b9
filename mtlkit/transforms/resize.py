"""Resize to a fixed size."""

import attrs

from mtlkit.targets.geometry import Box
from mtlkit.transforms.base import Transform
from mtlkit.transforms.draw import Draw
from mtlkit.transforms.sample import Sample
from mtlkit.transforms.sizes import as_size, height_and_width


@attrs.frozen(kw_only=True)
class Resize(Transform):
    """Resize the whole frame to `size` pixels, a side or height and width.

    All samples are seen through the same lens, so a depth is unchanged.
    """

    is_random = False

    size: int | tuple[int, int] = attrs.field(validator=height_and_width)

    def apply(self, sample: Sample, draw: Draw) -> Sample:
        return sample.crop(Box.of(sample.frame), as_size(self.size))
