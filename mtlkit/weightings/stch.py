"""A smooth maximum of the losses (STCH; Lin et al., ICML 2024)."""

import torch
from torch import Tensor

from mtlkit.task_types import LossTerm
from mtlkit.weightings.configs import STCH
from mtlkit.weightings.kinds import BatchLossWeighting, Known


class STCHWeights(BatchLossWeighting):
    """The gradient of mu log sum_t exp(p_t (L_t - z_t) / mu), the smooth Tchebycheff (eq. 12).

    That is p_t times the softmax over tasks of p_t (L_t - z_t) / mu, with preferences p, the ideal
    losses z and the smoothing mu.
    """

    preferences: Tensor
    ideal: Tensor

    def __init__(self, config: STCH, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.smoothing = config.smoothing
        each = [config.preferences.get(term.name, 1 / len(terms)) for term in terms]
        self.register_buffer("preferences", torch.tensor(each))
        self.register_buffer(
            "ideal", torch.tensor([config.ideal.get(term.name, 0.0) for term in terms])
        )

    def weights(self, known: Known) -> Tensor:
        preferences = self.preferences[known.places]
        distance = preferences * (known.losses - self.ideal[known.places])
        return preferences * (distance / self.smoothing).softmax(dim=0)
