"""Experts on the shared features, and the options of routers built from them."""

from collections.abc import Mapping

import attrs
from torch import Tensor, nn

from mtlkit.component import at_least, optional
from mtlkit.routers.base import Unbranched


@attrs.frozen(kw_only=True)
class ExpertSharing(Unbranched):
    """A router with experts on the shared features, of width `width` (None: the backbone's)."""

    width: int | None = attrs.field(default=None, validator=optional(at_least(1)))

    def head_features(self, features: int) -> int:
        return features if self.width is None else self.width


class Experts(nn.Module):
    """E experts f_e(x) = relu(V_e x + b_e): features (N, D) to (N, E, W)."""

    def __init__(self, features: int, experts: int, width: int) -> None:
        super().__init__()
        # one matrix for all experts, whose rows are initialized as those of E separate layers
        self.layer = nn.Linear(features, experts * width)
        self.shape = (experts, width)

    def forward(self, features: Tensor) -> Tensor:
        """Return the output of every expert (N, E, W)."""
        outputs: Tensor = self.layer(features).relu().unflatten(-1, self.shape)
        return outputs


def mixed(weights: Tensor, experts: Tensor) -> Tensor:
    """Return the mixtures (N, T, W) of expert outputs (N, E, W) with weights (N, T, E)."""
    return weights.to(experts.dtype) @ experts


def by_task(tasks: tuple[str, ...], features: Tensor) -> Mapping[str, Tensor]:
    """Return the features (N, W) of each task by name, from (N, T, W)."""
    return dict(zip(tasks, features.unbind(dim=1), strict=True))
