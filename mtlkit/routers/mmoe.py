"""Experts on the shared features, and the multi-gate mixture of them (Ma et al., KDD 2018)."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mtlkit.routers._configs import Wiring
from mtlkit.routers._soft_sharing import MMoE
from mtlkit.routers.base import Features, UnbranchedRouter


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


class MMoERouter(UnbranchedRouter):
    """f^k(x) = sum_e g^k(x)_e f_e(x) with g^k(x) = softmax(W_gk x), x the features."""

    def __init__(self, config: MMoE, wiring: Wiring) -> None:
        super().__init__()
        self.backbone, self.tasks = wiring.backbone, wiring.tasks
        self.features = wiring.backbone.features
        self.experts = Experts(self.features, config.experts, config.head_features(self.features))
        self.gates = nn.Linear(self.features, len(self.tasks) * config.experts, bias=False)

    def forward(self, inputs: Tensor) -> Features:
        return Features(self.backbone(inputs))

    def own_modules(self) -> Sequence[nn.Module]:
        return (self.experts, self.gates)

    def own_features(self, features: Tensor, maps: Tensor | None) -> Mapping[str, Tensor]:
        return by_task(self.tasks, mixed(self.weights(features), self.experts(features)))

    def weights(self, features: Tensor) -> Tensor:
        """How much each task asks of each expert (N, T, E), for features (N, D)."""
        logits = self.gates(features).unflatten(-1, (len(self.tasks), -1))
        return torch.softmax(logits.float(), dim=-1)
