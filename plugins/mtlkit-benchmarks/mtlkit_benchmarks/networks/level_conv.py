"""A level of a pyramid, passed through a 3x3 convolution for one task.

Paper: Shikun Liu, Edward Johns and Andrew J. Davison, "End-to-End Multi-Task Learning with
Attention", CVPR 2019 (the layer before the outputs in the authors' code).
"""

from typing import ClassVar

import attrs
from torch import Tensor, nn

from mtlkit.backbones import (
    Adapter,
    AdapterModule,
    Context,
    FeatureSpec,
    MapFeatures,
    PyramidFeatures,
)
from mtlkit.plugins import AssemblyError, at_least


@attrs.frozen(kw_only=True)
class LevelConv(Adapter):
    """A 3x3 convolution of the maps of a `level` of a pyramid, without an activation."""

    reads: ClassVar[tuple[type[FeatureSpec], ...]] = (PyramidFeatures,)
    gives: ClassVar[type[FeatureSpec]] = MapFeatures

    level: int = attrs.field(default=0, validator=at_least(0))

    def build(self, features: FeatureSpec) -> AdapterModule:
        assert isinstance(features, PyramidFeatures)
        if self.level >= len(features.levels):
            raise AssemblyError(
                f"level-conv: got the level {self.level}, expected one of {len(features.levels)} "
                f"levels, counted from 0"
            )
        return LevelConvModule(self, features)


class LevelConvModule(AdapterModule):
    """Map a pyramid (N, P) to maps (N, C, H, W) of the size of one level."""

    features: MapFeatures

    def __init__(self, config: LevelConv, features: PyramidFeatures) -> None:
        super().__init__()
        self.pyramid, self.level = features, config.level
        self.features = features.levels[config.level].maps
        channels = self.features.channels
        self.convolution = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, features: Tensor, context: Context) -> Tensor:
        maps: Tensor = self.convolution(self.pyramid.split(features)[self.level])
        return maps
