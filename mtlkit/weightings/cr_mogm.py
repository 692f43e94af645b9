"""Weights averaged over updates (CR-MOGM; Zhou et al., NeurIPS 2022)."""

import torch
from torch import Tensor

from mtlkit.task_types import LossTerm
from mtlkit.weightings.configs import CRMOGM
from mtlkit.weightings.kinds import GramianWeighting, Known


class CRMOGMWeights(GramianWeighting):
    """Weights a w_before + (1 - a) w of another scheme's w (algorithm 1); its first ones whole."""

    values: Tensor
    seen: Tensor

    def __init__(self, config: CRMOGM, terms: tuple[LossTerm, ...], features: int) -> None:
        super().__init__()
        inner = config.of.build(terms, features)
        if not isinstance(inner, GramianWeighting):
            raise TypeError(f"{type(config.of).__name__} builds no weighting of Gramians")
        self.of = inner
        self.momentum = config.momentum
        self.register_buffer("values", torch.zeros(len(terms)))
        self.register_buffer("seen", torch.zeros(len(terms)))

    def forward(self, gramian: Tensor, known: Known) -> Tensor:
        at = known.places
        newest: Tensor = self.of(gramian, known)
        kept = self.momentum * (self.seen[at] > 0).to(newest)
        weights = newest + kept * (self.values[at].to(newest) - newest)
        self.values[at] = weights.to(self.values)
        self.seen[at] += 1
        return weights
