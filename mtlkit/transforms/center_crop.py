"""Cut out the middle."""

import attrs

from mtlkit.targets.geometry import Box
from mtlkit.transforms.base import Transform
from mtlkit.transforms.draw import Draw
from mtlkit.transforms.sample import Sample
from mtlkit.transforms.sizes import as_size, height_and_width, require_room


@attrs.frozen(kw_only=True)
class CenterCrop(Transform):
    """Cut out the box of `size` pixels, a side or height and width, in the middle."""

    is_random = False

    size: int | tuple[int, int] = attrs.field(validator=height_and_width)

    def apply(self, sample: Sample, draw: Draw) -> Sample:
        frame, size = sample.frame, as_size(self.size)
        require_room("center-crop", frame, size)
        box = Box((frame[0] - size[0]) // 2, (frame[1] - size[1]) // 2, *size)
        return sample.crop(box, size)
