"""Experts at each position of the shared features, and the options of routers built from them."""

from abc import abstractmethod
from collections.abc import Mapping

import attrs
from torch import Tensor, nn

from mtlkit.component import at_least, optional
from mtlkit.features.base import FeatureSpec
from mtlkit.features.inputs import Batch
from mtlkit.features.maps import MapFeatures
from mtlkit.features.nodes import NodeFeatures
from mtlkit.features.tokens import TokenFeatures
from mtlkit.features.vectors import VectorFeatures
from mtlkit.routers.base import Features, Unbranched, UnbranchedRouter, Wiring

POSITIONWISE = (VectorFeatures, MapFeatures, TokenFeatures, NodeFeatures)
"""Kinds whose `rows` have one width. A linear layer of the rows of a map is a 1x1 convolution."""


@attrs.frozen(kw_only=True)
class ExpertSharing(Unbranched):
    """A router with experts at each position of the features.

    `width` is that of their features; None uses the backbone's.
    """

    reads = POSITIONWISE

    width: int | None = attrs.field(default=None, validator=optional(at_least(1)))

    def head_features(self, features: FeatureSpec) -> FeatureSpec:
        return features if self.width is None else features.with_width(self.width)


class Experts(nn.Module):
    """E experts f_e(x) = relu(V_e x + b_e): rows of features (..., D) to (..., E, W)."""

    def __init__(self, features: int, experts: int, width: int) -> None:
        super().__init__()
        # one matrix for all experts, whose rows are initialized as those of E separate layers
        self.layer = nn.Linear(features, experts * width)
        self.shape = (experts, width)

    def forward(self, features: Tensor) -> Tensor:
        """Return the output of every expert (..., E, W)."""
        outputs: Tensor = self.layer(features).relu().unflatten(-1, self.shape)
        return outputs


def mixed(weights: Tensor, experts: Tensor) -> Tensor:
    """Return the mixtures (..., T, W) of expert outputs (..., E, W) with weights (..., T, E)."""
    return weights.to(experts.dtype) @ experts


class ExpertRouter(UnbranchedRouter):
    """One backbone for all tasks; each head reads a mixture of experts of the features."""

    def __init__(self, wiring: Wiring) -> None:
        super().__init__()
        self.backbone, self.tasks = wiring.backbone, wiring.tasks
        self.features = wiring.backbone.features

    @abstractmethod
    def mixtures(self, rows: Tensor) -> Tensor:
        """Return the mixture of each task (..., T, W) for rows of features (..., D)."""

    def forward(self, inputs: Batch) -> Features:
        return Features(self.backbone(inputs))

    def own_features(self, features: Tensor, maps: Tensor | None) -> Mapping[str, Tensor]:
        mixtures = self.mixtures(self.features.rows(features)).unbind(dim=-2)
        return dict(zip(self.tasks, map(self.features.from_rows, mixtures), strict=True))
