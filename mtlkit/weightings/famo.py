"""Fast adaptive multitask optimization (FAMO; Liu et al., NeurIPS 2023).

Paper: Bo Liu, Yihao Feng, Peter Stone and Qiang Liu, "FAMO: Fast Adaptive Multitask Optimization",
NeurIPS 2023.
"""

import attrs
import torch
from torch import Tensor, nn

from mtlkit.component import above, at_least_number
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import Weighting
from mtlkit.weightings.kinds import (
    AfterStep,
    BatchLossWeighting,
    RequiresPositiveLosses,
    UpdateStats,
    positive,
)
from mtlkit.weightings.solvers.adam import AdamState


@attrs.frozen(kw_only=True)
class FAMO(Weighting):
    """Equal rates of decrease of all losses (FAMO; Liu et al., NeurIPS 2023).

    A second forward pass after each update measures the decrease. `learning_rate` (the paper's
    beta) and `decay` (gamma) apply to the logits of the weights.
    """

    min_tasks = 2
    compares_steps = True

    learning_rate: float = attrs.field(default=0.025, validator=above(0))
    decay: float = attrs.field(default=1e-3, validator=at_least_number(0))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "FAMOWeights":
        return FAMOWeights(self, terms)


class FAMOWeights(BatchLossWeighting, AfterStep, RequiresPositiveLosses):
    """Weights c z_t / L_t with z = softmax(xi) and c = 1 / sum(z_t / L_t) (algorithm 1).

    After the update, xi descends along J^T (log L_before - log L_after) with the Jacobian J of the
    softmax, which reduces the weight of a loss that fell more than the others. The optimizer is
    Adam with L2 decay, as in the authors' code (the paper has plain gradient descent).
    """

    def __init__(self, config: FAMO, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.logits = nn.Buffer(torch.zeros(len(terms)))
        self.adam = AdamState(len(terms), config.learning_rate, config.decay)

    def weights(self, stats: UpdateStats) -> Tensor:
        fraction = self.logits[stats.indices].softmax(dim=0)
        weights = fraction / stats.positive_losses
        return weights / weights.sum()

    def after_step(self, before: UpdateStats, after: Tensor) -> None:
        decrease = before.positive_losses.log() - positive(after).log()
        # a loss that fell below zero has no logarithm; the next step raises the error
        decrease = torch.where(decrease.isfinite(), decrease, 0.0)
        fraction = self.logits[before.indices].softmax(dim=0)
        gradient = fraction * (decrease - (fraction * decrease).sum())
        self.adam.descend(self.logits, gradient, before.indices)
