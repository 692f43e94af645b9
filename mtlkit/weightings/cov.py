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
    Known,
    RequiresPositiveLosses,
    WeightingModule,
    positive,
)


@attrs.frozen(kw_only=True)
class CoV(Weighting):
    """Weights by the coefficient of variation of a loss (CoV; Groenendijk et al., WACV 2021).

    `decay` forgets early losses: a mean is `decay` of itself and the rest of the new value. None
    counts all updates alike.
    """

    fewest: ClassVar[int] = 2

    decay: float | None = attrs.field(default=None, validator=optional(below(1)))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        return CoVWeights(self.decay, terms)


class CoVWeights(BatchLossWeighting, RequiresPositiveLosses):
    """Weights proportional to deviation(l) / mean(l) of ratios l = L / mean(L so far) (eq. 4-6).

    They add up to 1 and are equal until two losses were seen. Means and deviations are running
    ones, of all updates alike or, with `decay`, of the newest most.
    """

    losses: Tensor
    ratios: Tensor
    variance: Tensor
    seen: Tensor

    def __init__(self, decay: float | None, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.decay = decay
        for name in ("losses", "ratios", "variance", "seen"):
            self.register_buffer(name, torch.zeros(len(terms)))

    def weights(self, known: Known) -> Tensor:
        at, losses = known.places, positive(known.losses)
        seen, mean = self.seen[at], self.ratios[at]
        deviation = self.variance[at].sqrt()
        spread = torch.where(seen >= 2, deviation / mean, torch.zeros_like(mean))
        fresh = (seen < 2).any() | (spread.sum() == 0)
        equal = torch.full_like(spread, 1 / len(spread))
        weights = torch.where(fresh, equal, spread / spread.sum())
        self._learn(at, losses)
        return weights + 0 * losses  # NaN for a negative loss, from the first update on

    def _learn(self, at: Tensor, losses: Tensor) -> None:
        """Move the running means to the newest `losses` of the terms `at` (Welford)."""
        seen = self.seen[at]
        before = self.losses[at]
        ratio = losses / torch.where(seen > 0, before, losses)
        rest = 1 / (seen + 1)
        if self.decay is not None:
            rest = torch.where(seen > 0, 1 - self.decay, rest)
        mean, variance = self.ratios[at], self.variance[at]
        moved = mean + rest * (ratio - mean)
        new = (ratio - mean) * (ratio - moved)
        self.variance[at] = variance + rest * (new - variance)
        self.ratios[at] = moved
        self.losses[at] = before + rest * (losses - before)
        self.seen[at] += 1
