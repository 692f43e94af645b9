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
from mtlkit.weightings.kinds import LossWeighting, StepLosses, WeightedLoss


@attrs.frozen(kw_only=True)
class Uncertainty(Weighting):
    """Weights learned as homoscedastic uncertainty (Kendall, Gal & Cipolla, CVPR 2018, eq. 10).

    `learning_rate` is that of the learned log-variances; None uses that of the optimizer.
    """

    learning_rate: float | None = attrs.field(default=None, validator=optional(above(0)))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "UncertaintyWeights":
        return UncertaintyWeights(terms)

    @property
    def own_learning_rate(self) -> float | None:
        return self.learning_rate


class UncertaintyWeights(LossWeighting):
    """Sum of exp(-s_t) L_t + s_t / 2 with learned log-variances s = log sigma^2 (T,).

    Equation 10 multiplies the squared error of a regression by 1 / (2 sigma^2) and the
    cross-entropy of a classification by 1 / sigma^2. The regression loss here is *half* the squared
    error, so the factor exp(-s) fits both. A term without targets in the update contributes
    nothing; otherwise its variance would drift to zero.
    """

    def __init__(self, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.log_variance = nn.Parameter(torch.zeros(len(terms)))

    def forward(self, losses: StepLosses) -> WeightedLoss:
        weights = torch.exp(-self.log_variance)
        fraction = (losses.counts > 0).float() * losses.fraction
        total = (weights * losses.mean + fraction * self.log_variance / 2).sum()
        return WeightedLoss(total, weights.detach())
