"""Fast adaptive multitask optimisation (FAMO; Liu et al., NeurIPS 2023)."""

import torch
from torch import Tensor

from mtlkit.task_types import LossTerm
from mtlkit.weightings.configs import FAMO
from mtlkit.weightings.kinds import (
    AfterStep,
    BatchLossWeighting,
    Known,
    RequiresPositiveLosses,
    positive,
)
from mtlkit.weightings.solvers.adam import AdamState


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

    def weights(self, known: Known) -> Tensor:
        share = self.logits[known.places].softmax(dim=0)
        divided = share / positive(known.losses)
        return divided / divided.sum()

    def after_step(self, before: Known, after: Tensor) -> None:
        fell = positive(before.losses).log() - positive(after).log()
        # a loss that fell below zero tells no rate; the next step names it
        fell = torch.where(fell.isfinite(), fell, 0.0)
        share = self.logits[before.places].softmax(dim=0)
        gradient = share * (fell - (share * fell).sum())
        self.adam.descend(self.logits, gradient, before.places)
