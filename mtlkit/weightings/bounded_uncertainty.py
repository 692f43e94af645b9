"""Learned uncertainty without negative sums (Liebel & Koerner, 2018).

Paper: Lukas Liebel and Marco Körner, "Auxiliary Tasks in Multi-task Learning", arXiv:1805.06334,
2018.
"""

import attrs
import torch
from torch import nn

from mtlkit.component import above, optional
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import Weighting
from mtlkit.weightings.kinds import LossWeighting, StepLosses, WeightedLoss, WeightingModule


@attrs.frozen(kw_only=True)
class BoundedUncertainty(Weighting):
    """Learned uncertainty whose regulariser keeps the sum above zero (Liebel & Koerner, 2018).

    `learning_rate` is that of the learned deviations; None means the optimiser's own.
    """

    learning_rate: float | None = attrs.field(default=None, validator=optional(above(0)))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        return BoundedUncertaintyWeights(terms)

    @property
    def own_learning_rate(self) -> float | None:
        return self.learning_rate


class BoundedUncertaintyWeights(LossWeighting):
    """The sum of L_t / (2 c_t^2) + ln(1 + c_t^2), c learned from 1 (arXiv:1805.06334, eq. 3).

    Kendall's regulariser ln c falls below zero for small c, and the sum with it; this one does not.
    A term without any label in the update contributes nothing, its regulariser included.
    """

    def __init__(self, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.std = nn.Parameter(torch.ones(len(terms)))

    def forward(self, losses: StepLosses) -> WeightedLoss:
        squares = self.std.square()
        weights = 1 / (2 * squares)
        bound = losses.present * losses.fraction * squares.log1p()
        return WeightedLoss((weights * losses.mean + bound).sum(), weights.detach())
