"""Aligned groups of tasks (GO4Align; Shen et al., NeurIPS 2024).

Paper: Jiayi Shen, Cheems Wang, Zehao Xiao, Nanne Van Noord and Marcel Worring, "GO4Align: Group
Optimization for Multi-Task Alignment", NeurIPS 2024.
"""

import attrs
import torch
from torch import Tensor, nn

from mtlkit.component import above, at_least
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import Weighting
from mtlkit.weightings.kinds import BatchLossWeighting, RequiresPositiveLosses, UpdateStats
from mtlkit.weightings.solvers.groups import group_means


@attrs.frozen(kw_only=True)
class GO4Align(Weighting):
    """Equal weights for tasks of similar risk, in groups found anew (Shen et al., NeurIPS 2024).

    Risks scale the losses to a common size, remember earlier losses by `rate`, and divide the tasks
    into `groups`, whose members have the group's mean weight.
    """

    min_tasks = 2

    groups: int = attrs.field(default=2, validator=at_least(1))
    rate: float = attrs.field(default=1e-4, validator=above(0))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "GO4AlignWeights":
        return GO4AlignWeights(self, terms)


class GO4AlignWeights(BatchLossWeighting, RequiresPositiveLosses):
    """Group means of q_t sum(L) / L_t, with q_t proportional to q_t exp(-rate L_t).

    As in the authors' code, q starts equal and sums to 1. Its k-means starts at random; here the
    groups are the optimal ones, which in one dimension can be computed.
    """

    def __init__(self, config: GO4Align, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.groups, self.rate = config.groups, config.rate
        self.values = nn.Buffer(torch.full((len(terms),), 1 / len(terms)))

    def weights(self, stats: UpdateStats) -> Tensor:
        at, losses = stats.indices, stats.positive_losses
        before = self.values[at]
        risks = (before.log() - self.rate * losses).softmax(dim=0)
        self.values[at] = risks * before.sum()
        return group_means(risks * losses.sum() / losses, self.groups) + 0 * losses
