"""Fast adaptive multitask optimisation (FAMO; Liu et al., NeurIPS 2023).

Paper: Bo Liu, Yihao Feng, Peter Stone and Qiang Liu, "FAMO: Fast Adaptive Multitask Optimization",
NeurIPS 2023.
"""

from typing import ClassVar

import attrs
import torch
from torch import Tensor

from mtlkit.component import above, at_least_number
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import Weighting
from mtlkit.weightings.kinds import (
    AfterStep,
    BatchLossWeighting,
    RequiresPositiveLosses,
    UpdateStats,
    WeightingModule,
    positive,
)
from mtlkit.weightings.solvers.adam import AdamState


@attrs.frozen(kw_only=True)
class FAMO(Weighting):
    """All losses fall at one rate, seen from their change in an update (FAMO; Liu et al., 2023).

    A second forward pass after each update tells how much each loss fell. `learning_rate` (the
    paper's beta) and `decay` (gamma) are those of the logits of the weights.
    """

    min_tasks: ClassVar[int] = 2

    learning_rate: float = attrs.field(default=0.025, validator=above(0))
    decay: float = attrs.field(default=1e-3, validator=at_least_number(0))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        return FAMOWeights(self, terms)


class FAMOWeights(BatchLossWeighting, AfterStep, RequiresPositiveLosses):
    """Weights c z_t / L_t with z = softmax(xi) and c = 1 / sum(z_t / L_t) (algorithm 1).

    After the update, xi descends on J^T (log L_before - log L_after), J being the Jacobian of the
    softmax, by Adam with L2 decay as in the authors' code (the paper writes plain descent): a loss
    that fell more than the others loses weight.
    """

    logits: Tensor

    def __init__(self, config: FAMO, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.register_buffer("logits", torch.zeros(len(terms)))
        self.adam = AdamState(len(terms), config.learning_rate, config.decay)

    def weights(self, stats: UpdateStats) -> Tensor:
        fraction = self.logits[stats.indices].softmax(dim=0)
        divided = fraction / positive(stats.losses)
        return divided / divided.sum()

    def after_step(self, before: UpdateStats, after: Tensor) -> None:
        fell = positive(before.losses).log() - positive(after).log()
        # a loss that fell below zero tells no rate; the next step names it
        fell = torch.where(fell.isfinite(), fell, 0.0)
        fraction = self.logits[before.indices].softmax(dim=0)
        gradient = fraction * (fell - (fraction * fell).sum())
        self.adam.descend(self.logits, gradient, before.indices)
