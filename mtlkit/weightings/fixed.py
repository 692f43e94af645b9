"""Constant weights."""

from collections.abc import Mapping, Sequence

import attrs
import torch
from torch import nn

from mtlkit.component import at_least_number, each
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import Weighting
from mtlkit.weightings.kinds import LossWeighting, StepLosses, WeightedLoss


@attrs.frozen(kw_only=True)
class Fixed(Weighting):
    """Constant weights by task name; a task that is not named has weight 1.

    With the router `grouped` the loss of the branches is named ``<task>.branches``.
    """

    options_by_loss = ("weights",)

    weights: Mapping[str, float] = attrs.field(factory=dict, validator=each(at_least_number(0)))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "FixedWeights":
        return FixedWeights([self.weights.get(term.name, 1.0) for term in terms])


class FixedWeights(LossWeighting):
    """Sum of w_t L_t with constant weights w (T,)."""

    def __init__(self, weights: Sequence[float]) -> None:
        super().__init__()
        self.weights = nn.Buffer(torch.tensor(weights))

    def forward(self, losses: StepLosses) -> WeightedLoss:
        return WeightedLoss(self.weights @ losses.mean, self.weights)
