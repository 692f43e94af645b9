"""Gradient normalization (GradNorm; Chen et al., ICML 2018).

Paper: Zhao Chen, Vijay Badrinarayanan, Chen-Yu Lee and Andrew Rabinovich, "GradNorm: Gradient
Normalization for Adaptive Loss Balancing in Deep Multitask Networks", ICML 2018.
"""

import attrs
import torch
from torch import Tensor, nn

from mtlkit.component import above, at_least_number
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import GradientWeighting
from mtlkit.weightings.kinds import GramianWeighting, RequiresPositiveLosses, UpdateStats
from mtlkit.weightings.solvers.gramian import norms


@attrs.frozen(kw_only=True)
class GradNorm(GradientWeighting):
    """Learned weights that equalize the training rates of tasks (Chen et al., ICML 2018, eq. 2).

    `alpha` controls how strongly slow tasks are favored; 0 equalizes gradient norms.
    `learning_rate` is that of the weights, whose sum stays the number of tasks.
    """

    alpha: float = attrs.field(default=1.5, validator=at_least_number(0))
    learning_rate: float = attrs.field(default=0.025, validator=above(0))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "GradNormWeights":
        return GradNormWeights(self, terms)


class GradNormWeights(GramianWeighting, RequiresPositiveLosses):
    """Weights that descend on the sum of | w_t |g_t| - mean_s(w_s |g_s|) r_t^alpha | (eq. 2).

    r_t is the relative inverse training rate: the task's loss divided by its first loss, over the
    mean of these ratios. The target mean_s(...) r_t^alpha is a constant. After each step the
    weights are scaled to sum to the number of tasks (algorithm 1); the update uses the weights from
    before the step.
    """

    def __init__(self, config: GradNorm, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.alpha, self.learning_rate = config.alpha, config.learning_rate
        self.values = nn.Buffer(torch.ones(len(terms)))
        self.first = nn.Buffer(torch.zeros(len(terms)))  # 0: no loss yet

    def forward(self, gramian: Tensor, stats: UpdateStats) -> Tensor:
        at, losses = stats.indices, stats.positive_losses
        first = torch.where(self.first[at] > 0, self.first[at], losses)
        self.first[at] = first
        weights = self.values[at]
        norm = norms(gramian).to(weights)
        scaled = weights * norm
        ratio = losses / first
        target = scaled.mean() * (ratio / ratio.mean()) ** self.alpha
        values = weights - self.learning_rate * norm * (scaled - target).sign()
        values = values.clamp(min=1e-4)  # a weight of 0 would stay 0
        self.values[at] = values * weights.sum() / values.sum()
        return (weights + 0 * losses).to(gramian)  # NaN for a negative loss
