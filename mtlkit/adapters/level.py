"""The maps of one level of a pyramid."""

import attrs
from torch import Tensor

from mtlkit.adapters.base import Adapter, AdapterModule
from mtlkit.component import at_least
from mtlkit.errors import AssemblyError
from mtlkit.features.base import Context, FeatureSpec
from mtlkit.features.maps import MapFeatures
from mtlkit.features.pyramid import PyramidFeatures


@attrs.frozen(kw_only=True)
class Level(Adapter):
    """Select the maps of one level of a pyramid; `index` 0 is the finest level."""

    reads = (PyramidFeatures,)
    gives = MapFeatures

    index: int = attrs.field(default=0, validator=at_least(0))

    def build(self, features: FeatureSpec) -> "AdapterModule":
        return LevelModule(self, features)


class LevelModule(AdapterModule):
    """Maps a pyramid (N, P) to the maps (N, C, H, W) of a level."""

    def __init__(self, config: Level, features: FeatureSpec) -> None:
        super().__init__()
        assert isinstance(features, PyramidFeatures)
        if config.index >= len(features.levels):
            raise AssemblyError(
                f"level: got index {config.index} of a pyramid of {len(features.levels)} levels; "
                f"expected 0 to {len(features.levels) - 1}"
            )
        self.index, self.pyramid = config.index, features
        self.features = features.levels[config.index].maps

    def forward(self, features: Tensor, context: Context) -> Tensor:
        return self.pyramid.split(features)[self.index]
