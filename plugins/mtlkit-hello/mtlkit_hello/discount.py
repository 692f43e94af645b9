"""The weighting `discount`."""

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

from mtlkit import Role
from mtlkit.plugins import LossTerm, between
from mtlkit.weightings import LossWeighting, StepLosses, WeightedLoss, Weighting, WeightingModule


@attrs.frozen(kw_only=True)
class Discount(Weighting):
    """Main tasks have the weight 1, each side task `rate` times the weight of the one before it.

    With a rate of 0.5 the side tasks have the weights 0.5, 0.25, 0.125 and so on.
    """

    rate: float = attrs.field(default=0.5, validator=between(0, 1))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> WeightingModule:
        return DiscountWeights(self.weights(terms))

    def weights(self, terms: tuple[LossTerm, ...]) -> list[float]:
        """Return the weight of each term."""
        weights, next_weight = [], 1.0
        for term in terms:
            if term.role is Role.SIDE:
                next_weight *= self.rate
            weights.append(1.0 if term.role is Role.MAIN else next_weight)
        return weights


class DiscountWeights(LossWeighting):
    """The sum of w_t L_t with constant weights w (T,)."""

    weights: Tensor

    def __init__(self, weights: Sequence[float]) -> None:
        super().__init__()
        # state is a buffer: checkpoints save it, and it moves to the device with the module
        self.register_buffer("weights", torch.tensor(weights))

    def forward(self, losses: StepLosses) -> WeightedLoss:
        return WeightedLoss((self.weights * losses.mean).sum(), self.weights)
