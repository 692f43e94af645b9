"""Constant weights."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mtlkit.weightings.kinds import LossWeighting, StepLosses, WeightedLoss


class FixedWeights(LossWeighting):
    """The sum of w_t L_t with constant weights w (T,)."""

    weights: Tensor

    def __init__(self, weights: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("weights", torch.tensor(weights))

    def forward(self, losses: StepLosses) -> WeightedLoss:
        return WeightedLoss((self.weights * losses.mean).sum(), self.weights)
