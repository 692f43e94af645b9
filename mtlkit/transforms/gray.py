"""Remove the colors."""

import attrs
from torch import Tensor

from mtlkit.component import between
from mtlkit.transforms.base import Transform
from mtlkit.transforms.draw import Draw
from mtlkit.transforms.pixels import require_pixels
from mtlkit.transforms.sample import Sample


@attrs.frozen(kw_only=True)
class Gray(Transform):
    """Replace the colors of an 8-bit RGB image by its luma, with probability `p`."""

    p: float = attrs.field(default=0.1, validator=between(0, 1))

    def apply(self, sample: Sample, draw: Draw) -> Sample:
        from torchvision.transforms.v2 import functional

        def without_color(image: Tensor) -> Tensor:
            require_pixels("gray", image)
            return functional.rgb_to_grayscale(image, 3) if len(image) == 3 else image

        return sample.with_images(without_color) if draw.chance(self.p) else sample
