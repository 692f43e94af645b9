"""Learned uncertainty without negative sums (Liebel & Koerner, 2018)."""

import torch
from torch import nn

from mtlkit.task_types import LossTerm
from mtlkit.weightings.kinds import LossWeighting, StepLosses, WeightedLoss


class BoundedUncertaintyWeights(LossWeighting):
    """The sum of L_t / (2 c_t^2) + ln(1 + c_t^2), c learned from 1 (arXiv:1805.06334, eq. 3).

    Kendall's regulariser ln c falls below zero for small c, and the sum with it; this one does not.
    A term without any label in the update contributes nothing, its regulariser included.
    """

    def __init__(self, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.deviation = nn.Parameter(torch.ones(len(terms)))

    def forward(self, losses: StepLosses) -> WeightedLoss:
        squares = self.deviation.square()
        weights = 1 / (2 * squares)
        bound = losses.seen * losses.share * squares.log1p()
        return WeightedLoss((weights * losses.mean + bound).sum(), weights.detach())
