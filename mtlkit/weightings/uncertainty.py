"""Homoscedastic uncertainty as weights (Kendall, Gal & Cipolla, CVPR 2018).

Paper: Alex Kendall, Yarin Gal and Roberto Cipolla, "Multi-Task Learning Using Uncertainty to Weigh
Losses for Scene Geometry and Semantics", CVPR 2018.
"""

import attrs
import torch
from torch import nn

from mtlkit.component import above, optional
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import Weighting
from mtlkit.weightings.kinds import LossWeighting, StepLosses, WeightedLoss, WeightingModule


@attrs.frozen(kw_only=True)
class Uncertainty(Weighting):
    """Weights learned as homoscedastic uncertainty (Kendall, Gal & Cipolla, CVPR 2018, eq. 10).

    `learning_rate` is that of the learned log-variances; None means the optimiser's own.
    """

    learning_rate: float | None = attrs.field(default=None, validator=optional(above(0)))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        return UncertaintyWeights(terms)

    @property
    def own_learning_rate(self) -> float | None:
        return self.learning_rate


class UncertaintyWeights(LossWeighting):
    """The sum of exp(-s_t) L_t + s_t / 2 with learned log-variances s = log sigma^2 (T,).

    Equation 10 weighs a regression's squared error with 1 / (2 sigma^2) and a classification's
    cross-entropy with 1 / sigma^2. mtlkit's regression loss is *half* the squared error, so the
    factor exp(-s) is right for both. A term without any label in the batch contributes nothing,
    its s / 2 included: its variance would otherwise drift to zero unobserved.
    """

    def __init__(self, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.log_variance = nn.Parameter(torch.zeros(len(terms)))

    def forward(self, losses: StepLosses) -> WeightedLoss:
        weights = torch.exp(-self.log_variance)
        fraction = (losses.counts > 0).float() * losses.fraction
        total = (weights * losses.mean + fraction * self.log_variance / 2).sum()
        return WeightedLoss(total, weights.detach())
