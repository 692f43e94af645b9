"""Multi-gate mixture of experts (MMoE; Ma et al., KDD 2018).

Paper: Jiaqi Ma, Zhe Zhao, Xinyang Yi, Jilin Chen, Lichan Hong and Ed H. Chi, "Modeling Task
Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts", KDD 2018.
"""

from collections.abc import Mapping, Sequence

import attrs
import torch
from torch import Tensor, nn

from mtlkit.component import at_least
from mtlkit.features.inputs import Batch
from mtlkit.routers.base import Features, RouterModule, UnbranchedRouter, Wiring
from mtlkit.routers.experts import Experts, ExpertSharing, by_task, mixed


@attrs.frozen(kw_only=True)
class MMoE(ExpertSharing):
    """Experts that all tasks share, mixed by a gate for each task (Ma et al., KDD 2018).

    `experts` is their number and `width` the width of their features; None uses the backbone's.
    """

    experts: int = attrs.field(default=4, validator=at_least(2))

    def build(self, wiring: Wiring) -> "RouterModule":
        return MMoERouter(self, wiring)


class MMoERouter(UnbranchedRouter):
    """Mixtures f^k(x) = sum_e g^k(x)_e f_e(x) with g^k(x) = softmax(W_gk x) of features x."""

    def __init__(self, config: MMoE, wiring: Wiring) -> None:
        super().__init__()
        self.backbone, self.tasks = wiring.backbone, wiring.tasks
        self.features = wiring.backbone.features
        width = config.head_features(self.features).width
        self.experts = Experts(self.features.width, config.experts, width)
        self.gates = nn.Linear(self.features.width, len(self.tasks) * config.experts, bias=False)

    def forward(self, inputs: Batch) -> Features:
        return Features(self.backbone(inputs))

    def own_modules(self) -> Sequence[nn.Module]:
        return (self.experts, self.gates)

    def own_features(self, features: Tensor, maps: Tensor | None) -> Mapping[str, Tensor]:
        rows = self.features.rows(features)
        return by_task(self.tasks, mixed(self.weights(rows), self.experts(rows)), self.features)

    def weights(self, rows: Tensor) -> Tensor:
        """Return the weight of each expert for each task (..., T, E), from rows (..., D)."""
        logits = self.gates(rows).unflatten(-1, (len(self.tasks), -1))
        return torch.softmax(logits.float(), dim=-1)
