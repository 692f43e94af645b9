"""Loss discrepancy control (LDC-MTL; Xiao et al., 2025, arXiv:2502.08585).

Paper: Peiyao Xiao, Chaosheng Dong, Shaofeng Zou and Kaiyi Ji, "LDC-MTL: Balancing Multi-Task
Learning through Scalable Loss Discrepancy Control", arXiv:2502.08585, 2025.
"""

import attrs
import torch
from torch import Tensor, nn

from mtlkit import ops
from mtlkit.component import above, at_least_number, one_of, optional
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import Weighting
from mtlkit.weightings.kinds import StepLosses, WeightedLoss, WholeBatch


@attrs.frozen(kw_only=True)
class LDCMTL(Weighting):
    """Weights from a gate that also reduces differences of losses (LDC-MTL; Xiao et al., 2025).

    The gate, a softmax of the shared features, minimizes the weighted losses plus `penalty`
    (lambda) times the differences of neighbors in the order of the tasks. `of` selects what is
    compared: the ``weighted`` losses or the ``plain`` ones (the paper's tau). The penalty trains
    the network, too. `learning_rate` is that of the gate; None uses that of the optimizer.
    """

    min_tasks = 2
    reads_features = True

    penalty: float = attrs.field(default=0.1, validator=at_least_number(0))
    of: str = attrs.field(default="weighted", validator=one_of("weighted", "plain"))
    learning_rate: float | None = attrs.field(default=None, validator=optional(above(0)))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "LDCMTLWeights":
        return LDCMTLWeights(self, terms, features)

    @property
    def own_learning_rate(self) -> float | None:
        return self.learning_rate


class LDCMTLWeights(WholeBatch):
    """Sum of w_t L_t + penalty sum |tau_t L_t - tau_(t+1) L_(t+1)|, the single-level form.

    w is the batch mean of the gate's softmax and tau is w or 1. A term without targets is compared
    with no other. The sum is a function of means over the whole update; each part gets its linear
    form at these means, which has the gradient of the sum.
    """

    def __init__(self, config: LDCMTL, terms: tuple[LossTerm, ...], features: int) -> None:
        super().__init__()
        self.penalty, self.weighted = config.penalty, config.of == "weighted"
        self.gate = nn.Linear(features, len(terms))
        nn.init.zeros_(self.gate.weight)  # starts from equal weights
        nn.init.zeros_(self.gate.bias)

    def summarize(self, losses: StepLosses) -> Tensor:
        return self._means(losses).detach()

    def forward(self, losses: StepLosses) -> WeightedLoss:
        part = self._means(losses)
        whole = part.detach() if losses.summary is None else losses.summary
        with torch.enable_grad():
            point = whole.clone().requires_grad_()
            value = self._objective(point, losses.counts > 0)
            (slope,) = torch.autograd.grad(value, point)
        constant = value.detach() - (slope * whole).sum()
        total = (slope * part).sum() + constant * losses.fraction
        return WeightedLoss(total, whole[1])

    def _means(self, losses: StepLosses) -> Tensor:
        """Return this part of the mean losses and mean weights (2, T)."""
        gated = ops.gate(losses.features, self.gate.weight, self.gate.bias, reduction="none")
        return torch.stack([losses.mean, gated.mean(dim=0) * losses.fraction])

    def _objective(self, point: Tensor, present: Tensor) -> Tensor:
        losses, weights = point
        compared = weights * losses if self.weighted else losses
        differences = compared.diff().abs() * (present[1:] & present[:-1])
        objective: Tensor = (weights * losses).sum() + self.penalty * differences.sum()
        return objective
