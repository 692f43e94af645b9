"""Pooling over the pixels, tokens or nodes of a sample."""

import attrs
from torch import Tensor

from mtlkit.adapters.base import Adapter, AdapterModule
from mtlkit.component import one_of
from mtlkit.features.base import Context, FeatureSpec
from mtlkit.features.maps import MapFeatures
from mtlkit.features.nodes import NodeFeatures
from mtlkit.features.pyramid import PyramidFeatures
from mtlkit.features.tokens import TokenFeatures
from mtlkit.features.vectors import VectorFeatures


@attrs.frozen(kw_only=True)
class Pool(Adapter):
    """Pool the pixels, tokens or nodes of each sample into one vector.

    `by` selects the mean or the maximum. Padding is ignored; a sample without nodes or tokens has
    the vector 0. The pooled vectors of the levels of a pyramid are concatenated.
    """

    reads = (MapFeatures, PyramidFeatures, TokenFeatures, NodeFeatures)
    gives = VectorFeatures

    by: str = attrs.field(default="mean", validator=one_of("mean", "max"))

    def build(self, features: FeatureSpec) -> "AdapterModule":
        return PoolModule(self, features)


class PoolModule(AdapterModule):
    """Maps features of any kind to vectors (N, width).

    >>> import torch
    >>> module = PoolModule(Pool(by="max"), MapFeatures(channels=1))
    >>> module(torch.tensor([[[[1.0, 4.0]]]]), {}).tolist()
    [[4.0]]
    """

    def __init__(self, config: Pool, features: FeatureSpec) -> None:
        super().__init__()
        self.features = VectorFeatures(width=features.width)
        self.pool = features.pool if config.by == "mean" else features.max_pool

    def forward(self, features: Tensor, context: Context) -> Tensor:
        return self.pool(features, context)
