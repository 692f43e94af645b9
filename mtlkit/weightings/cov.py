"""The coefficient of variation as a weight (CoV; Groenendijk et al., WACV 2021).

Paper: Rick Groenendijk, Sezer Karaoglu, Theo Gevers and Thomas Mensink, "Multi-Loss Weighting with
Coefficient of Variations", WACV 2021.
"""

from typing import ClassVar

import attrs
import torch
from torch import Tensor

from mtlkit.component import below, optional
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import Weighting
from mtlkit.weightings.kinds import (
    BatchLossWeighting,
    RequiresPositiveLosses,
    UpdateStats,
    WeightingModule,
    positive,
)


@attrs.frozen(kw_only=True)
class CoV(Weighting):
    """Weights by the coefficient of variation of a loss (CoV; Groenendijk et al., WACV 2021).

    `decay` forgets early losses: a mean is `decay` of itself and the rest of the new value. None
    counts all updates alike.
    """

    min_tasks: ClassVar[int] = 2

    decay: float | None = attrs.field(default=None, validator=optional(below(1)))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        return CoVWeights(self.decay, terms)


class CoVWeights(BatchLossWeighting, RequiresPositiveLosses):
    """Weights proportional to std(l) / mean(l) of ratios l = L / mean(L so far) (eq. 4-6).

    They add up to 1, and are equal for the first two updates. Means and standard deviations are
    running ones, of all updates alike or, with `decay`, of the newest most.
    """

    losses: Tensor
    ratios: Tensor
    variance: Tensor
    updates: Tensor

    def __init__(self, decay: float | None, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.decay = decay
        for name in ("losses", "ratios", "variance", "updates"):
            self.register_buffer(name, torch.zeros(len(terms)))

    def weights(self, stats: UpdateStats) -> Tensor:
        at, losses = stats.indices, positive(stats.losses)
        updates, mean = self.updates[at], self.ratios[at]
        std = self.variance[at].sqrt()
        variation = torch.where(updates >= 2, std / mean, torch.zeros_like(mean))
        fresh = (updates < 2).any() | (variation.sum() == 0)
        equal = torch.full_like(variation, 1 / len(variation))
        weights = torch.where(fresh, equal, variation / variation.sum())
        self._learn(at, losses)
        return weights + 0 * losses  # NaN for a negative loss, from the first update on

    def _learn(self, at: Tensor, losses: Tensor) -> None:
        """Move the running means to the newest `losses` of the terms `at` (Welford)."""
        updates = self.updates[at]
        before = self.losses[at]
        ratio = losses / torch.where(updates > 0, before, losses)
        rest = 1 / (updates + 1)
        if self.decay is not None:
            rest = torch.where(updates > 0, 1 - self.decay, rest)
        mean, variance = self.ratios[at], self.variance[at]
        moved = mean + rest * (ratio - mean)
        new = (ratio - mean) * (ratio - moved)
        self.variance[at] = variance + rest * (new - variance)
        self.ratios[at] = moved
        self.losses[at] = before + rest * (losses - before)
        self.updates[at] += 1
