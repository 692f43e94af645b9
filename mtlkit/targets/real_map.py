"""Real numbers for each pixel, such as depth."""

import attrs
import torch
from torch import Tensor

from mtlkit.component import at_least, one_of
from mtlkit.errors import DataError
from mtlkit.targets.colors import NO_LABEL, number_colors
from mtlkit.targets.geometry import Box, Size
from mtlkit.targets.maps import MapTarget
from mtlkit.targets.numbers import RealTarget


@attrs.frozen(kw_only=True)
class RealMapTarget(MapTarget, RealTarget):
    """Real numbers for each pixel (N, C, H, W), NaN where there is none.

    The weight of a sample is its number of present elements. A data source replaces the code of its
    data set for a missing pixel (0, 255) with NaN.

    `quantity` is what a zoom changes: a "depth" is divided by it, a "disparity" is multiplied, and
    another "value" is unchanged.
    """

    noun = "numbers of each pixel"
    shape = "(N, C, H, W)"
    dims = 4
    default_head = "dense-regression"

    channels: int = attrs.field(default=1, validator=at_least(1))
    quantity: str = attrs.field(default="value", validator=one_of("value", "depth", "disparity"))

    def check(self, labels: Tensor) -> None:
        super().check(labels)
        if labels.shape[1] != self.channels:
            raise DataError(f"expected {self.channels} channels, got {labels.shape[1]}")

    @property
    def components(self) -> tuple[str, ...]:
        return tuple(f"channel-{index}" for index in range(self.channels))

    def picture(self, labels: Tensor, like: Tensor) -> Tensor:
        first, known = labels[0], like[0][~like[0].isnan()]
        low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
        return torch.where(first.isnan().unsqueeze(-1), NO_LABEL, number_colors(first, low, high))

    def crop(
        self, labels: Tensor, frame: Size, box: Box, size: Size, *, zoom: float = 1.0
    ) -> Tensor:
        factor = {"value": 1.0, "depth": 1 / zoom, "disparity": zoom}[self.quantity]
        return super().crop(labels, frame, box, size, zoom=zoom) * factor
