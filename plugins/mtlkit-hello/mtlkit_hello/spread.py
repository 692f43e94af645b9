"""The adapter `spread`."""

from typing import ClassVar

import attrs
from torch import Tensor

from mtlkit.backbones import (
    Adapter,
    AdapterModule,
    Context,
    FeatureSpec,
    MapFeatures,
    VectorFeatures,
)


@attrs.frozen(kw_only=True)
class Spread(Adapter):
    """The standard deviation of each channel of a map, as a vector; for textures."""

    reads: ClassVar[tuple[type[FeatureSpec], ...]] = (MapFeatures,)
    gives: ClassVar[type[FeatureSpec]] = VectorFeatures

    def build(self, features: FeatureSpec) -> AdapterModule:
        return SpreadModule(features)


class SpreadModule(AdapterModule):
    """Map maps (N, C, H, W) to the standard deviations (N, C) over their pixels."""

    def __init__(self, features: FeatureSpec) -> None:
        super().__init__()
        self.features = VectorFeatures(width=features.width)

    def forward(self, features: Tensor, context: Context) -> Tensor:
        variance = features.var(dim=(2, 3), correction=0)
        return (variance + 1e-12).sqrt()  # the slope of a root is infinite at 0
