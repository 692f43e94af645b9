"""Experts on the shared features, and the options of routers built from them."""

from collections.abc import Mapping

import attrs
from torch import Tensor, nn

from mtlkit.component import at_least, optional
from mtlkit.routers.base import Unbranched


@attrs.frozen(kw_only=True)
class ExpertSharing(Unbranched):
    """A router with experts on the shared features, each `width` wide (None: as the backbone)."""

    width: int | None = attrs.field(default=None, validator=optional(at_least(1)))

    def head_features(self, features: int) -> int:
        return features if self.width is None else self.width


class Experts(nn.Module):
    """E experts f_e(x) = relu(V_e x + b_e): features (N, D) to (N, E, W)."""

    def __init__(self, features: int, experts: int, width: int) -> None:
        super().__init__()
        # one matrix for all experts: its rows start as those of E layers of their own would
        self.layer = nn.Linear(features, experts * width)
        self.shape = (experts, width)

    def forward(self, features: Tensor) -> Tensor:
        """What every expert says, (N, E, W)."""
        said: Tensor = self.layer(features).relu().unflatten(-1, self.shape)
        return said


def mixed(weights: Tensor, experts: Tensor) -> Tensor:
    """The mixtures (N, T, W) by weights (N, T, E) of what experts say (N, E, W)."""
    return weights.to(experts.dtype) @ experts


def by_task(tasks: tuple[str, ...], own: Tensor) -> Mapping[str, Tensor]:
    """The features of each task by its name, from (N, T, W)."""
    return dict(zip(tasks, own.unbind(dim=1), strict=True))
