"""Turn the image in its frame."""

import attrs

from mtlkit.component import between
from mtlkit.transforms.base import Transform
from mtlkit.transforms.draw import Draw
from mtlkit.transforms.sample import Sample


@attrs.frozen(kw_only=True)
class Rotate(Transform):
    """Turn the sample about its center by an angle from -`degrees` to `degrees`.

    Pixels from outside the frame are black and have no labels. Unit vectors turn in the plane of
    the image.
    """

    degrees: float = attrs.field(default=10.0, validator=between(0, 180))

    def apply(self, sample: Sample, draw: Draw) -> Sample:
        return sample.rotate(draw.uniform(-self.degrees, self.degrees))
