"""Maps of a finer resolution, by interpolation."""

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from mtlkit.adapters.base import Adapter, AdapterModule
from mtlkit.component import at_least
from mtlkit.errors import AssemblyError
from mtlkit.features.base import Context, FeatureSpec
from mtlkit.features.maps import MapFeatures
from mtlkit.features.pyramid import PyramidFeatures


@attrs.frozen(kw_only=True)
class Upsample(Adapter):
    """Interpolate maps bilinearly to a finer `stride`; 1 is the resolution of the inputs.

    The levels of a pyramid are interpolated to one size and concatenated (hypercolumns; Hariharan
    et al., CVPR 2015).
    """

    reads = (MapFeatures, PyramidFeatures)
    gives = MapFeatures

    stride: int = attrs.field(default=1, validator=at_least(1))

    def build(self, features: FeatureSpec) -> "AdapterModule":
        return UpsampleModule(self, features)


class UpsampleModule(AdapterModule):
    """Maps (N, C, H, W) or a pyramid to maps of a finer stride."""

    def __init__(self, config: Upsample, features: FeatureSpec) -> None:
        super().__init__()
        self.pyramid = features if isinstance(features, PyramidFeatures) else None
        finest = features.levels[0].maps if isinstance(features, PyramidFeatures) else features
        assert isinstance(finest, MapFeatures)
        if finest.stride % config.stride:
            raise AssemblyError(
                f"upsample: got maps of stride {finest.stride}, expected a multiple of `stride` "
                f"{config.stride}; change `stride`"
            )
        self.factor = finest.stride // config.stride
        self.features = MapFeatures(channels=features.width, stride=config.stride)

    def forward(self, features: Tensor, context: Context) -> Tensor:
        levels = (features,) if self.pyramid is None else self.pyramid.split(features)
        height, width = levels[0].shape[2:]
        size = (height * self.factor, width * self.factor)
        return torch.cat([resized(maps, size) for maps in levels], dim=1)


def resized(maps: Tensor, size: tuple[int, ...], mode: str = "bilinear") -> Tensor:
    """Return maps (N, C, H, W) interpolated to `size`, if they have another one."""
    return maps if maps.shape[2:] == size else F.interpolate(maps, size, mode=mode)
