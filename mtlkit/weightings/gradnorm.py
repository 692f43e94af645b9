"""Gradient normalisation (GradNorm; Chen et al., ICML 2018).

Paper: Zhao Chen, Vijay Badrinarayanan, Chen-Yu Lee and Andrew Rabinovich, "GradNorm: Gradient
Normalization for Adaptive Loss Balancing in Deep Multitask Networks", ICML 2018.
"""

import attrs
import torch
from torch import Tensor

from mtlkit.component import above, at_least_number
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import GradientWeighting
from mtlkit.weightings.kinds import (
    GramianWeighting,
    RequiresPositiveLosses,
    UpdateStats,
    WeightingModule,
    positive,
)
from mtlkit.weightings.solvers.gramian import norms


@attrs.frozen(kw_only=True)
class GradNorm(GradientWeighting):
    """Learned weights that let all tasks train at similar rates (Chen et al., ICML 2018, eq. 2).

    `alpha` is how strongly a task that lags is favoured, 0 for equal gradient norms;
    `learning_rate` is that of the weights, whose sum stays the number of tasks.
    """

    alpha: float = attrs.field(default=1.5, validator=at_least_number(0))
    learning_rate: float = attrs.field(default=0.025, validator=above(0))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        return GradNormWeights(self, terms)


class GradNormWeights(GramianWeighting, RequiresPositiveLosses):
    """Weights that descend on the sum of | w_t |g_t| - mean_s(w_s |g_s|) r_t^alpha | (eq. 2).

    r_t is the task's loss in units of its first, over the mean of these: how far it lags behind.
    The target is a constant of the descent. After each step the weights are scaled so that their
    sum is the number of tasks (algorithm 1); those of before the step weigh the update.
    """

    values: Tensor
    first: Tensor

    def __init__(self, config: GradNorm, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.alpha, self.learning_rate = config.alpha, config.learning_rate
        self.register_buffer("values", torch.ones(len(terms)))
        self.register_buffer("first", torch.zeros(len(terms)))  # 0: not seen yet

    def forward(self, gramian: Tensor, stats: UpdateStats) -> Tensor:
        at, losses = stats.indices, positive(stats.losses)
        first = torch.where(self.first[at] > 0, self.first[at], losses)
        self.first[at] = first
        weights = self.values[at]
        length = norms(gramian).to(weights)
        scaled = weights * length
        lag = losses / first
        target = scaled.mean() * (lag / lag.mean()) ** self.alpha
        moved = weights - self.learning_rate * length * (scaled - target).sign()
        moved = moved.clamp(min=1e-4)  # a weight of 0 would stay there for good
        self.values[at] = moved * weights.sum() / moved.sum()
        return (weights + 0 * losses).to(gramian)  # NaN for a negative loss
