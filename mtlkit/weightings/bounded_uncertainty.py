"""Learned uncertainty with a non-negative loss (Liebel & Koerner, 2018).

Paper: Lukas Liebel and Marco Körner, "Auxiliary Tasks in Multi-task Learning", arXiv:1805.06334,
2018.
"""

import attrs
import torch
from torch import nn

from mtlkit.component import above, optional
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import Weighting
from mtlkit.weightings.kinds import LossWeighting, StepLosses, WeightedLoss


@attrs.frozen(kw_only=True)
class BoundedUncertainty(Weighting):
    """Learned uncertainty whose regularizer keeps the sum above zero (Liebel & Koerner, 2018).

    `learning_rate` is that of the learned standard deviations; None uses that of the optimizer.
    """

    learning_rate: float | None = attrs.field(default=None, validator=optional(above(0)))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "BoundedUncertaintyWeights":
        return BoundedUncertaintyWeights(terms)

    @property
    def own_learning_rate(self) -> float | None:
        return self.learning_rate


class BoundedUncertaintyWeights(LossWeighting):
    """Sum of L_t / (2 c_t^2) + ln(1 + c_t^2), with learned c from 1 (arXiv:1805.06334, eq. 3).

    Kendall's regularizer ln c is negative for small c; this one is not. A term without targets in
    the update contributes neither its loss nor its regularizer.
    """

    def __init__(self, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.std = nn.Parameter(torch.ones(len(terms)))

    def forward(self, losses: StepLosses) -> WeightedLoss:
        squares = self.std.square()
        weights = 1 / (2 * squares)
        regularizer = losses.present * losses.fraction * squares.log1p()
        return WeightedLoss((weights * losses.mean + regularizer).sum(), weights.detach())
