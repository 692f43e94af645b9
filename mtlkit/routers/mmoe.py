"""Multi-gate mixture of experts (MMoE; Ma et al., KDD 2018).

Paper: Jiaqi Ma, Zhe Zhao, Xinyang Yi, Jilin Chen, Lichan Hong and Ed H. Chi, "Modeling Task
Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts", KDD 2018.
"""

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor, nn

from mtlkit.component import at_least
from mtlkit.routers.base import RouterModule, Wiring
from mtlkit.routers.experts import ExpertRouter, Experts, ExpertSharing, mixed


@attrs.frozen(kw_only=True)
class MMoE(ExpertSharing):
    """Experts that all tasks share, mixed by a gate for each task (Ma et al., KDD 2018).

    `experts` is their number and `width` the width of their features; None uses the backbone's.
    """

    experts: int = attrs.field(default=4, validator=at_least(2))

    def build(self, wiring: Wiring) -> "RouterModule":
        return MMoERouter(self, wiring)


class MMoERouter(ExpertRouter):
    """Mixtures f^k(x) = sum_e g^k(x)_e f_e(x) with g^k(x) = softmax(W_gk x) of features x."""

    def __init__(self, config: MMoE, wiring: Wiring) -> None:
        super().__init__(wiring)
        width = config.head_features(self.features).width
        self.experts = Experts(self.features.width, config.experts, width)
        self.gates = nn.Linear(self.features.width, len(self.tasks) * config.experts, bias=False)

    def own_modules(self) -> Sequence[nn.Module]:
        return (self.experts, self.gates)

    def mixtures(self, rows: Tensor) -> Tensor:
        return mixed(self.weights(rows), self.experts(rows))

    def weights(self, rows: Tensor) -> Tensor:
        """Return the weight of each expert for each task (..., T, E), from rows (..., D)."""
        logits = self.gates(rows).unflatten(-1, (len(self.tasks), -1))
        return torch.softmax(logits.float(), dim=-1)
