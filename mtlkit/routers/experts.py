"""Experts at each position of the shared features, and the options of routers built from them."""

from collections.abc import Mapping

import attrs
from torch import Tensor, nn

from mtlkit.component import at_least, optional
from mtlkit.features.base import FeatureSpec
from mtlkit.features.positions import POSITIONWISE
from mtlkit.routers.base import Unbranched


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


def by_task(tasks: tuple[str, ...], rows: Tensor, features: FeatureSpec) -> Mapping[str, Tensor]:
    """Return the features of each task by name, in the layout of `features`, from (..., T, W)."""
    return dict(zip(tasks, map(features.from_rows, rows.unbind(dim=-2)), strict=True))
