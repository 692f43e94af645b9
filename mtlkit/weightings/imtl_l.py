"""Learned scales of losses (IMTL-L; Liu et al., ICLR 2021).

Paper: Liyang Liu, Yi Li, Zhanghui Kuang, Jing-Hao Xue, Yimin Chen, Wenming Yang, Qingmin Liao and
Wayne Zhang, "Towards Impartial Multi-task Learning", ICLR 2021.
"""

import attrs
import torch
from torch import nn

from mtlkit.component import above, optional
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import Weighting
from mtlkit.weightings.kinds import LossWeighting, StepLosses, WeightedLoss


@attrs.frozen(kw_only=True)
class IMTLL(Weighting):
    """Learned scales that bring every loss to the same size (IMTL-L; Liu et al., ICLR 2021).

    `learning_rate` is that of the learned scales; None uses that of the optimizer.
    """

    min_tasks = 2

    learning_rate: float | None = attrs.field(default=None, validator=optional(above(0)))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "IMTLLWeights":
        return IMTLLWeights(terms)

    @property
    def own_learning_rate(self) -> float | None:
        return self.learning_rate


class IMTLLWeights(LossWeighting):
    """Sum of exp(s_t) L_t - s_t with learned s (section 3.2); at its minimum exp(s_t) L_t = 1.

    A term without targets in the update contributes nothing, and its s_t does not move.
    """

    def __init__(self, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(len(terms)))

    def forward(self, losses: StepLosses) -> WeightedLoss:
        weights = self.log_scale.exp()
        total = weights * losses.mean - losses.present * losses.fraction * self.log_scale
        return WeightedLoss(total.sum(), weights.detach())
