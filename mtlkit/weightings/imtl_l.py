"""Learned scales of losses (IMTL-L; Liu et al., ICLR 2021)."""

import torch
from torch import nn

from mtlkit.task_types import LossTerm
from mtlkit.weightings.kinds import LossWeighting, StepLosses, WeightedLoss


class IMTLLWeights(LossWeighting):
    """The sum of exp(s_t) L_t - s_t with learned s (section 3.2); at its minimum exp(s_t) L_t = 1.

    A term without any label in the update contributes nothing, its s included.
    """

    def __init__(self, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(len(terms)))

    def forward(self, losses: StepLosses) -> WeightedLoss:
        weights = self.log_scale.exp()
        total = weights * losses.mean - losses.seen * losses.share * self.log_scale
        return WeightedLoss(total.sum(), weights.detach())
