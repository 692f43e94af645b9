"""Erase a rectangle of the image.

Paper: Zhong, Zheng, Kang, Li, Yang, "Random Erasing Data Augmentation", AAAI 2020, algorithm 1.
"""

import math
from typing import Any

import attrs
from torch import Tensor

from mtlkit.component import between
from mtlkit.transforms.base import Transform
from mtlkit.transforms.draw import Draw
from mtlkit.transforms.sample import Sample

RATIO = 0.3
"""Lowest ratio of the sides of the rectangle; its inverse is the highest."""


def _not_below_min(erase: "Erase", field: "attrs.Attribute[Any]", value: float) -> None:
    if value < erase.min_area:
        raise ValueError(
            f"{field.name}: expected at least `min_area`, {erase.min_area}, got {value!r}"
        )


@attrs.frozen(kw_only=True)
class Erase(Transform):
    """Fill a random rectangle with the image's mean color, with probability `p`.

    Its area is `min_area` to `max_area` of the frame, as far as it fits. Labels are unchanged.
    """

    p: float = attrs.field(default=0.5, validator=between(0, 1))
    min_area: float = attrs.field(default=0.02, validator=between(0, 1))
    max_area: float = attrs.field(default=0.4, validator=[between(0, 1), _not_below_min])

    def apply(self, sample: Sample, draw: Draw) -> Sample:
        from torchvision.transforms.v2 import functional

        if not draw.chance(self.p):
            return sample
        height, width = sample.frame
        area = height * width * draw.uniform(self.min_area, self.max_area)
        ratio = math.exp(draw.uniform(math.log(RATIO), -math.log(RATIO)))
        tall = min(max(round(math.sqrt(area * ratio)), 1), height)
        wide = min(max(round(math.sqrt(area / ratio)), 1), width)
        top, left = draw.integer(0, height - tall), draw.integer(0, width - wide)

        def erased(image: Tensor) -> Tensor:
            mean = image.float().mean(dim=(1, 2), keepdim=True).to(image.dtype)
            result: Tensor = functional.erase(image, top, left, tall, wide, mean)
            return result

        return sample.with_images(erased)
