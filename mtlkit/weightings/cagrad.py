"""Conflict-averse gradient descent (CAGrad; Liu et al., NeurIPS 2021).

Paper: Bo Liu, Xingchao Liu, Xiaojie Jin, Peter Stone and Qiang Liu, "Conflict-Averse Gradient
Descent for Multi-task Learning", NeurIPS 2021.
"""

from math import sqrt

import attrs
import torch
from torch import Tensor

from mtlkit.component import below
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import GradientWeighting
from mtlkit.weightings.kinds import GramianWeighting, UpdateStats
from mtlkit.weightings.solvers.active_set import minimize_on_simplex, norm_of, on_floats
from mtlkit.weightings.solvers.gramian import norms
from mtlkit.weightings.solvers.simplex import conflict_averse


@attrs.frozen(kw_only=True)
class CAGrad(GradientWeighting):
    """Maximize the worst improvement near the mean gradient (Liu et al., NeurIPS 2021, eq. 4).

    `c` is the largest distance of the direction from the mean gradient, relative to its norm: 0 is
    the mean gradient, and larger values approach MGDA.
    """

    c: float = attrs.field(default=0.5, validator=below(1))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "CAGradWeights":
        return CAGradWeights(self.c)


class CAGradWeights(GramianWeighting):
    """Weights of g_0 + c |g_0| g_w / |g_w|, the best worst case within c |g_0| of the mean g_0.

    g_w solves the dual problem (eq. 4). If g_w is 0 (a gradient is zero, or all cancel), the
    direction is undefined and the mean gradient is returned, as in the authors' code; a task
    without gradient therefore does not stop the others.
    """

    def __init__(self, c: float) -> None:
        super().__init__()
        self.c = c

    def forward(self, gramian: Tensor, stats: UpdateStats) -> Tensor:
        if on_floats(gramian):
            return gramian.new_tensor(self._on_floats(gramian.tolist()))
        mean = torch.full_like(gramian[0], 1 / len(gramian))
        radius = self.c * (mean @ gramian @ mean).clamp(min=0).sqrt()
        dual = conflict_averse(gramian, radius)
        norm = (dual @ gramian @ dual).clamp(min=0).sqrt()
        defined = norm > 1e-7 * norms(gramian).max()
        scale = torch.where(defined, radius / norm.where(defined, 1.0), 0.0)
        return mean + scale * dual

    def _on_floats(self, gramian: list[list[float]]) -> list[float]:
        """Return the weights as `forward` does."""
        count = len(gramian)
        mean = [sum(row) / count for row in gramian]  # g_t . g_0
        radius = self.c * sqrt(max(sum(mean) / count, 0.0))
        dual = minimize_on_simplex(gramian, mean, radius)
        norm = norm_of(gramian, dual)
        defined = norm > 1e-7 * sqrt(max(row[i] for i, row in enumerate(gramian)))
        scale = radius / norm if defined else 0.0
        return [1 / count + scale * weight for weight in dual]
