"""A feature pyramid network, which joins the levels of a pyramid to maps of the finest one.

Paper: Alexander Kirillov, Ross Girshick, Kaiming He and Piotr Dollár, "Panoptic Feature Pyramid
Networks", CVPR 2019, section 3; the top-down path is that of Tsung-Yi Lin, Piotr Dollár, Ross
Girshick, Kaiming He, Bharath Hariharan and Serge Belongie, "Feature Pyramid Networks for Object
Detection", CVPR 2017, section 3.
"""

import attrs
from torch import Tensor, nn

from mtlkit.adapters.base import Adapter, AdapterModule
from mtlkit.adapters.upsample import resized
from mtlkit.component import at_least
from mtlkit.features.base import Context, FeatureSpec
from mtlkit.features.maps import MapFeatures
from mtlkit.features.pyramid import PyramidFeatures


@attrs.frozen(kw_only=True)
class FPN(Adapter):
    """Join the levels of a pyramid to maps of `channels` channels at its finest stride.

    A 1x1 convolution of each level is added to the interpolated sum of the coarser ones (Lin et
    al., CVPR 2017). A 3x3 convolution with batch norm and ReLU follows at each level, and the
    results are interpolated to the finest one and added (Kirillov et al., CVPR 2019, with one
    convolution for each level).
    """

    reads = (PyramidFeatures,)
    gives = MapFeatures

    channels: int = attrs.field(default=64, validator=at_least(1))

    def build(self, features: FeatureSpec) -> "AdapterModule":
        return FPNModule(self, features)


class FPNModule(AdapterModule):
    """Maps a pyramid (N, P) to maps (N, channels, H, W) of the size of its finest level."""

    def __init__(self, config: FPN, features: FeatureSpec) -> None:
        super().__init__()
        assert isinstance(features, PyramidFeatures)
        self.pyramid = features
        self.lateral = nn.ModuleList(
            nn.Conv2d(level.channels, config.channels, 1) for level in features.levels
        )
        self.output = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(config.channels, config.channels, 3, padding=1, bias=False),
                nn.BatchNorm2d(config.channels),
                nn.ReLU(),
            )
            for _ in features.levels
        )
        self.features = MapFeatures(channels=config.channels, stride=features.levels[0].stride)

    def forward(self, features: Tensor, context: Context) -> Tensor:
        levels = self.pyramid.split(features)
        maps = [layer(level) for layer, level in zip(self.lateral, levels, strict=True)]
        for index in range(len(maps) - 2, -1, -1):
            size = maps[index].shape[2:]
            maps[index] = maps[index] + resized(maps[index + 1], size, "nearest")
        maps = [layer(level) for layer, level in zip(self.output, maps, strict=True)]
        joined: Tensor = maps[0]
        for level in maps[1:]:
            joined = joined + resized(level, joined.shape[2:])
        return joined
