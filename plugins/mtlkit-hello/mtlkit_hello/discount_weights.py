"""The mathematics of the weighting `discount`."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mtlkit.weightings import LossWeighting, StepLosses, WeightedLoss


class DiscountWeights(LossWeighting):
    """The sum of w_t L_t with constant weights w (T,)."""

    weights: Tensor

    def __init__(self, weights: Sequence[float]) -> None:
        super().__init__()
        # state is a buffer, or else it would be lost with a checkpoint and stay on the CPU
        self.register_buffer("weights", torch.tensor(weights))

    def forward(self, losses: StepLosses) -> WeightedLoss:
        return WeightedLoss((self.weights * losses.mean).sum(), self.weights)
