"""Projecting conflicting gradients (PCGrad; Yu et al., NeurIPS 2020).

Paper: Tianhe Yu, Saurabh Kumar, Abhishek Gupta, Sergey Levine, Karol Hausman and Chelsea Finn,
"Gradient Surgery for Multi-Task Learning", NeurIPS 2020.
"""

import attrs
import torch
from torch import Tensor

from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import GradientWeighting
from mtlkit.weightings.kinds import GramianWeighting, UpdateStats


@attrs.frozen(kw_only=True)
class PCGrad(GradientWeighting):
    """Gradients projected to remove conflicts (PCGrad; Yu et al., NeurIPS 2020)."""

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "PCGradWeights":
        return PCGradWeights()


class PCGradWeights(GramianWeighting):
    """Sum of all g_i, each projected onto the normal plane of every conflicting g_j (algorithm 1).

    Each gradient visits the others in its own random order. Products g_i' . g_j follow each
    projection, so K^2 numbers change in each of K - 1 rounds.
    """

    def forward(self, gramian: Tensor, stats: UpdateStats) -> Tensor:
        products = gramian  # g_i' . g_j
        weights = torch.ones_like(gramian[0])
        for j in projection_order(len(gramian), stats).to(gramian.device).T:
            dot = products.gather(1, j.unsqueeze(1)).squeeze(1)
            square = gramian.diagonal()[j]
            part = torch.where((dot < 0) & (square > 0), dot / square, 0.0)
            products = products - part.unsqueeze(1) * gramian[j]
            weights = weights.index_add(0, j, -part)
        return weights


def projection_order(count: int, stats: UpdateStats) -> Tensor:
    """Return a random order of the other tasks for each of `count` tasks (count, count - 1).

    >>> projection_order(2, UpdateStats(torch.ones(2), torch.arange(2))).tolist()
    [[1], [0]]
    """
    drawn = torch.rand(count, count, generator=stats.step.generator())
    drawn.fill_diagonal_(2)  # sorts the task itself last, where it is dropped
    return drawn.argsort(dim=1)[:, :-1]
