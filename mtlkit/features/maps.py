"""A map for each sample, with features at each of its pixels."""

import attrs
from torch import Tensor

from mtlkit.component import at_least
from mtlkit.features.base import Context, FeatureSpec


@attrs.frozen(kw_only=True)
class MapFeatures(FeatureSpec):
    """A map for each sample: features (N, `channels`, H, W).

    A pixel of the map covers `stride` pixels of the inputs along each side.

    >>> import torch
    >>> MapFeatures(channels=3, stride=4).rows(torch.zeros(2, 3, 8, 6)).shape
    torch.Size([2, 8, 6, 3])
    """

    kind = "maps"
    shape = "(N, C, H, W)"
    dims = 4

    channels: int = attrs.field(validator=at_least(1))
    stride: int = attrs.field(default=1, validator=at_least(1))

    @property
    def width(self) -> int:
        return self.channels

    def rows(self, features: Tensor) -> Tensor:
        return features.movedim(1, -1)

    def from_rows(self, rows: Tensor) -> Tensor:
        return rows.movedim(-1, 1)

    def pool(self, features: Tensor, context: Context) -> Tensor:
        return features.mean(dim=(2, 3))

    def max_pool(self, features: Tensor, context: Context) -> Tensor:
        return features.amax(dim=(2, 3))

    def with_width(self, width: int) -> "MapFeatures":
        return MapFeatures(channels=width, stride=self.stride)
