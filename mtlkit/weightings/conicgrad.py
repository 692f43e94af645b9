"""Gradient descent in a cone around the mean gradient (ConicGrad; Hassanpour et al., 2025).

Paper: Negar Hassanpour, Muhammad Kamran Janjua, Kunlin Zhang, Sepehr Lavasani, Xiaowen Zhang,
Chunhua Zhou and Chao Gao, "Fantastic Multi-Task Gradient Updates and How to Find Them In a Cone",
arXiv:2502.00217, 2025.
"""

from math import sqrt

import attrs
import torch
from torch import Tensor

from mtlkit.component import below
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import GradientWeighting
from mtlkit.weightings.kinds import GramianWeighting, UpdateStats
from mtlkit.weightings.solvers.simplex import min_norm, smallest

DEFINED = 1e-7
"""Norm from which a combination has a direction, relative to the longest gradient."""


@attrs.frozen(kw_only=True)
class ConicGrad(GradientWeighting):
    """Maximize the worst improvement in a cone around the mean gradient (Hassanpour et al., 2025).

    `c` is the cosine of the largest angle to the mean gradient: 0 allows 90 degrees, and values
    near 1 give the mean gradient. The direction is as long as the mean gradient.
    """

    c: float = attrs.field(default=0.5, validator=below(1))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "ConicGradWeights":
        return ConicGradWeights(self.c)


class ConicGradWeights(GramianWeighting):
    """Weights of argmax min_t g_t . d over |d| <= |g_0| and g_0 . d >= c |g_0| |d|, the mean g_0.

    By duality d is g_w, projected on the cone, at the weights with the shortest projection. That is
    MGDA's direction if the cone contains it. Otherwise d is on the boundary, in the plane of g_0
    and g_w with the weights argmin c g_0 . g_w + sqrt(1 - c^2) |g_0| |h_w|, where h_t is the part
    of g_t orthogonal to g_0. If no d of the cone improves all tasks, the same d maximizes the worst
    improvement relative to that of the mean loss. Gradients of zero are left out.

    >>> module = ConicGradWeights(0.5)
    >>> gramian = torch.tensor([[9.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    >>> stats = UpdateStats(torch.ones(2), torch.arange(2))
    >>> module(gramian, stats).round(decimals=3).tolist()
    [0.167, 1.5]
    """

    def __init__(self, c: float) -> None:
        super().__init__()
        self.c = c

    def forward(self, gramian: Tensor, stats: UpdateStats) -> Tensor:
        mean = gramian.mean(dim=1)  # g_t . g_0
        square = mean.mean().clamp(min=0)
        length, largest = square.sqrt(), gramian.diagonal().max()
        least = DEFINED * largest.sqrt()
        absent = torch.where(gramian.diagonal() <= 0, largest, 0.0)
        # a long gradient, orthogonal to all, has no weight in the shortest combination
        shortest = min_norm(gramian + torch.diag(1e12 * absent))
        norm = _norm(gramian, shortest)
        inside = (mean @ shortest >= self.c * length * norm) & (norm > least)
        within = shortest * (length / norm.where(inside, 1.0))
        return torch.where(inside, within, self._on_boundary(gramian, mean, length, absent, least))

    def _on_boundary(
        self, gramian: Tensor, mean: Tensor, length: Tensor, absent: Tensor, least: Tensor
    ) -> Tensor:
        """Return the weights of the best direction at the largest angle to g_0."""
        sine = sqrt(1 - self.c**2)
        scaled = mean / length.where(length > 0, 1.0)
        apart = gramian - torch.outer(scaled, scaled)
        ridge = torch.diag(1e-12 * gramian.diagonal() + absent)
        dual = smallest(apart + ridge, self.c * mean + absent, sine * length)
        norm = _norm(apart, dual)
        defined = norm > least
        side = sine / norm.where(defined, 1.0)
        along = torch.where(defined, self.c - side * (scaled @ dual), 1.0)
        return along / len(gramian) + torch.where(defined, side * length, 0.0) * dual


def _norm(gramian: Tensor, weights: Tensor) -> Tensor:
    return (weights @ gramian @ weights).clamp(min=0).sqrt()
