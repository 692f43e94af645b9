"""Projecting conflicting gradients (PCGrad; Yu et al., NeurIPS 2020).

Paper: Tianhe Yu, Saurabh Kumar, Abhishek Gupta, Sergey Levine, Karol Hausman and Chelsea Finn,
"Gradient Surgery for Multi-Task Learning", NeurIPS 2020.
"""

import attrs
import torch
from torch import Tensor

from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import GradientWeighting
from mtlkit.weightings.kinds import GramianWeighting, UpdateStats, WeightingModule


@attrs.frozen(kw_only=True)
class PCGrad(GradientWeighting):
    """Each gradient without its parts against the others (PCGrad; Yu et al., NeurIPS 2020)."""

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        return PCGradWeights()


class PCGradWeights(GramianWeighting):
    """The sum of all g_i, each projected off every g_j that it conflicts with (algorithm 1).

    The others are met in a random order, of each gradient its own. A projected gradient is a
    combination of the given ones, so its coefficients are all that is kept.
    """

    def forward(self, gramian: Tensor, stats: UpdateStats) -> Tensor:
        own = torch.eye(len(gramian), dtype=gramian.dtype, device=gramian.device)
        square = gramian.diagonal()
        for met in meetings(len(gramian), stats).to(gramian.device).T:
            product = (own @ gramian).gather(1, met.unsqueeze(1)).squeeze(1)  # g_i' . g_j
            length = square[met]
            part = torch.where((product < 0) & (length > 0), product / length, 0.0)
            own = own.scatter_add(1, met.unsqueeze(1), -part.unsqueeze(1))
        return own.sum(dim=0)


def meetings(count: int, stats: UpdateStats) -> Tensor:
    """For each of `count` tasks the others in a random order (count, count - 1), by the step.

    >>> meetings(2, UpdateStats(torch.ones(2), torch.arange(2))).tolist()
    [[1], [0]]
    """
    drawn = torch.rand(count, count, generator=stats.step.generator())
    drawn.fill_diagonal_(2)  # itself last, and left out
    return drawn.argsort(dim=1)[:, :-1]
