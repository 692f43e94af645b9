"""Change brightness, contrast, saturation and hue."""

import attrs
from torch import Tensor

from mtlkit.component import between
from mtlkit.transforms.base import Transform
from mtlkit.transforms.draw import Draw
from mtlkit.transforms.pixels import require_pixels
from mtlkit.transforms.sample import Sample


@attrs.frozen(kw_only=True)
class ColorJitter(Transform):
    """Change the colors of 8-bit images: brightness, contrast, saturation and hue, in this order.

    Each of the first three is multiplied by a factor from 1 - option to 1 + option. The hue is
    turned by at most `hue` of a circle; a gray image has neither hue nor saturation.
    """

    brightness: float = attrs.field(default=0.4, validator=between(0, 1))
    contrast: float = attrs.field(default=0.4, validator=between(0, 1))
    saturation: float = attrs.field(default=0.4, validator=between(0, 1))
    hue: float = attrs.field(default=0.1, validator=between(0, 0.5))

    def apply(self, sample: Sample, draw: Draw) -> Sample:
        from torchvision.transforms.v2 import functional

        brightness, contrast, saturation = (
            draw.uniform(1 - option, 1 + option)
            for option in (self.brightness, self.contrast, self.saturation)
        )
        hue = draw.uniform(-self.hue, self.hue)

        def jittered(image: Tensor) -> Tensor:
            require_pixels("color-jitter", image)
            image = functional.adjust_brightness(image, brightness)
            image = functional.adjust_contrast(image, contrast)
            if len(image) == 3:
                image = functional.adjust_saturation(image, saturation)
                image = functional.adjust_hue(image, hue)
            return image

        return sample.with_images(jittered)
