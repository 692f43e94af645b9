"""Dynamic weights that favour the harder task (Ming et al., FG 2019, arXiv:1911.03281)."""

import torch
from torch import Tensor

from mtlkit.task_types import LossTerm, Role
from mtlkit.weightings.configs import HarderFirst
from mtlkit.weightings.dynamic import Gate, guess_of
from mtlkit.weightings.kinds import (
    LossWeighting,
    RequiresPositiveLosses,
    StepLosses,
    WeightedLoss,
    WholeBatch,
    positive,
)


class HarderFirstWeights(LossWeighting, WholeBatch, RequiresPositiveLosses):
    """Side weights total * mu with mu = softmax(W^T x + e), the gate learned on sum mu_t / L_t.

    In that sum the mean losses L are constants and the features too, so that it trains the gate
    alone (eq. 6); the network is trained on the weighted losses with mu a constant. The gate then
    goes up where the loss is high. The value of the sum is not part of the loss that is logged.
    """

    guess: Tensor

    def __init__(self, config: HarderFirst, terms: tuple[LossTerm, ...], features: int) -> None:
        super().__init__()
        self.terms = len(terms)
        self.gate = Gate(terms, Role.SIDE, config.total, features, units=config.normalise)
        units = [guess_of(term) if config.normalise else 1.0 for term in terms]
        self.register_buffer("guess", torch.tensor(units), persistent=False)

    def summarise(self, losses: StepLosses) -> Tensor:
        return losses.mean.detach()

    def forward(self, losses: StepLosses) -> WeightedLoss:
        place = self.gate.places
        gated = self.gate(losses.features.detach())
        weights = gated.new_ones(self.terms, gated.shape[1]).index_copy(0, place, gated.detach())
        weighed = (weights * losses.per_sample).sum(dim=1) / losses.counts.clamp(min=1)
        whole = losses.mean.detach() if losses.summary is None else losses.summary
        harder = positive(whole / self.guess)[place]
        share = gated * self.gate.guess.unsqueeze(1) / self.gate.total
        gate_loss = (share.mean(dim=1) * losses.share * losses.seen[place] / harder).sum()
        # its value is taken away again: only the gradient is wanted
        total = weighed.sum() + gate_loss - gate_loss.detach()
        return WeightedLoss(total, weights.mean(dim=1))
