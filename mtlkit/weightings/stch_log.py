"""Smooth maximum of the logarithms of the losses: STCH for multi-task learning.

Paper: Xi Lin, Xiaoyuan Zhang, Zhiyuan Yang, Fei Liu, Zhenkun Wang and Qingfu Zhang, "Smooth
Tchebycheff Scalarization for Multi-Objective Optimization", ICML 2024; the form of the authors'
multi-task code.
"""

import attrs
import torch
from torch import Tensor, nn

from mtlkit.component import above, at_least
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import Weighting
from mtlkit.weightings.kinds import BatchLossWeighting, RequiresPositiveLosses, UpdateStats


@attrs.frozen(kw_only=True)
class STCHLog(Weighting):
    """Smooth maximum of log losses relative to their nadir (Lin et al., ICML 2024, eq. 12).

    The first `warmup` epochs train on the sum of log losses. The nadir of a loss is its mean over
    the last of these epochs. `smoothing` is the paper's mu: near 0 only the loss that is largest
    relative to its nadir counts.
    """

    min_tasks = 2
    reads_epochs = True
    scale_free = True

    smoothing: float = attrs.field(default=1.0, validator=above(0))
    warmup: int = attrs.field(default=5, validator=at_least(1))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "STCHLogWeights":
        return STCHLogWeights(self, terms)


class STCHLogWeights(BatchLossWeighting, RequiresPositiveLosses):
    """Gradient of K mu log sum_t (L_t / n_t)^(1 / mu) with the nadir n, after the warm-up.

    That is K / L_t times the softmax over tasks of log(L_t / n_t) / mu. During the warm-up weights
    are 1 / L_t. A loss without targets in the last epoch of the warm-up has its first loss as the
    nadir.
    """

    def __init__(self, config: STCHLog, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.smoothing, self.warmup = config.smoothing, config.warmup
        self.sums = nn.Buffer(torch.zeros(len(terms)))
        self.counts = nn.Buffer(torch.zeros(len(terms)))

    def weights(self, stats: UpdateStats) -> Tensor:
        at, losses = stats.indices, stats.positive_losses
        left = self.warmup - 1 - stats.step.epoch
        if left <= 0:
            counted = (self.counts[at] == 0) if left < 0 else torch.ones_like(at, dtype=torch.bool)
            self.sums[at] += torch.where(counted, losses, 0.0)
            self.counts[at] += counted
        if left >= 0:
            return 1 / losses
        nadir = self.sums[at] / self.counts[at]
        return len(losses) / losses * ((losses / nadir).log() / self.smoothing).softmax(dim=0)
