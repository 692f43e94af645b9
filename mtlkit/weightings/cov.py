"""Coefficient of variation as a weight (CoV; Groenendijk et al., WACV 2021).

Paper: Rick Groenendijk, Sezer Karaoglu, Theo Gevers and Thomas Mensink, "Multi-Loss Weighting with
Coefficient of Variations", WACV 2021.
"""

import attrs
import torch
from torch import Tensor, nn

from mtlkit.component import below, optional
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import Weighting
from mtlkit.weightings.kinds import BatchLossWeighting, RequiresPositiveLosses, UpdateStats


@attrs.frozen(kw_only=True)
class CoV(Weighting):
    """Weights from the coefficient of variation of a loss (CoV; Groenendijk et al., WACV 2021).

    `decay` is the factor of exponential running means; None averages all updates equally.
    """

    min_tasks = 2

    decay: float | None = attrs.field(default=None, validator=optional(below(1)))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "CoVWeights":
        return CoVWeights(self.decay, terms)


class CoVWeights(BatchLossWeighting, RequiresPositiveLosses):
    """Weights proportional to std(l) / mean(l) of ratios l = L / mean(L so far) (eq. 4-6).

    Weights sum to 1 and are equal for the first two updates. Means and standard deviations run over
    all updates equally, or decay exponentially with `decay`.
    """

    def __init__(self, decay: float | None, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.decay = decay
        self.losses = nn.Buffer(torch.zeros(len(terms)))
        self.ratios = nn.Buffer(torch.zeros(len(terms)))
        self.variance = nn.Buffer(torch.zeros(len(terms)))
        self.updates = nn.Buffer(torch.zeros(len(terms)))

    def weights(self, stats: UpdateStats) -> Tensor:
        at, losses = stats.indices, stats.positive_losses
        updates, mean = self.updates[at], self.ratios[at]
        std = self.variance[at].sqrt()
        variation = torch.where(updates >= 2, std / mean, torch.zeros_like(mean))
        undefined = (updates < 2).any() | (variation.sum() == 0)
        equal = torch.full_like(variation, 1 / len(variation))
        weights = torch.where(undefined, equal, variation / variation.sum())
        self._update(at, losses)
        return weights + 0 * losses  # NaN for a negative loss, including the first update

    def _update(self, at: Tensor, losses: Tensor) -> None:
        """Update the running means with the `losses` of the terms `at` (Welford's algorithm)."""
        updates = self.updates[at]
        before = self.losses[at]
        ratio = losses / torch.where(updates > 0, before, losses)
        rate = 1 / (updates + 1)
        if self.decay is not None:
            rate = torch.where(updates > 0, 1 - self.decay, rate)
        mean, variance = self.ratios[at], self.variance[at]
        new_mean = mean + rate * (ratio - mean)
        square = (ratio - mean) * (ratio - new_mean)
        self.variance[at] = variance + rate * (square - variance)
        self.ratios[at] = new_mean
        self.losses[at] = before + rate * (losses - before)
        self.updates[at] += 1
