"""Dynamic weight average (DWA; Liu, Johns & Davison, CVPR 2019).

Paper: Shikun Liu, Edward Johns and Andrew J. Davison, "End-to-End Multi-Task Learning with
Attention", CVPR 2019.
"""

import attrs
import torch
from torch import Tensor, nn

from mtlkit.component import above
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import Weighting
from mtlkit.weightings.kinds import BatchLossWeighting, RequiresPositiveLosses, UpdateStats


@attrs.frozen(kw_only=True)
class DWA(Weighting):
    """Weights from the rate at which each loss fell over two epochs (DWA; Liu et al., CVPR 2019).

    Slow tasks get more weight. `temperature` is the paper's T: the higher, the more equal. Weights
    are equal in the first two epochs.
    """

    min_tasks = 2
    reads_epochs = True

    temperature: float = attrs.field(default=2.0, validator=above(0))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "DWAWeights":
        return DWAWeights(self.temperature, terms)


class DWAWeights(BatchLossWeighting, RequiresPositiveLosses):
    """Weights K softmax(r / T) with r_t = L_t(epoch - 1) / L_t(epoch - 2) (eq. 7).

    The loss of an epoch is the mean over its updates. A task without a loss in either epoch has
    r = 1, so weights are equal in the first two epochs.
    """

    def __init__(self, temperature: float, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.temperature = temperature
        self.totals = nn.Buffer(torch.zeros(2, len(terms)))  # sums and counts of this epoch
        self.before = nn.Buffer(torch.zeros(len(terms)))  # means of the last epoch; 0: none
        self.rate = nn.Buffer(torch.ones(len(terms)))

    def weights(self, stats: UpdateStats) -> Tensor:
        if stats.step.opens_epoch:
            self._start_epoch()
        losses = stats.positive_losses
        self.totals[0].index_add_(0, stats.indices, losses)
        self.totals[1].index_add_(0, stats.indices, torch.ones_like(losses))
        rate = self.rate[stats.indices]
        weights = len(rate) * (rate / self.temperature).softmax(dim=0)
        return weights + 0 * losses  # NaN for a negative loss

    def _start_epoch(self) -> None:
        """Update rates from the means of the last two epochs and reset the running totals."""
        means = self.totals[0] / self.totals[1].clamp(min=1)
        in_both = (means > 0) & (self.before > 0)
        self.rate.copy_(torch.where(in_both, means / self.before, 1.0))
        self.before.copy_(means)
        self.totals.zero_()
