"""Conflict-averse gradient descent (CAGrad; Liu et al., NeurIPS 2021).

Paper: Bo Liu, Xingchao Liu, Xiaojie Jin, Peter Stone and Qiang Liu, "Conflict-Averse Gradient
Descent for Multi-task Learning", NeurIPS 2021.
"""

import attrs
import torch
from torch import Tensor

from mtlkit.component import below
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import GradientWeighting
from mtlkit.weightings.kinds import GramianWeighting, UpdateStats, WeightingModule
from mtlkit.weightings.solvers.gramian import norms
from mtlkit.weightings.solvers.simplex import conflict_averse


@attrs.frozen(kw_only=True)
class CAGrad(GradientWeighting):
    """The best worst improvement near the mean gradient (CAGrad; Liu et al., NeurIPS 2021, eq. 4).

    `c` is how far from the mean gradient the direction may be, in units of its norm: 0 is the mean,
    and the larger, the nearer to MGDA.
    """

    c: float = attrs.field(default=0.5, validator=below(1))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        return CAGradWeights(self.c)


class CAGradWeights(GramianWeighting):
    """Weights of g_0 + c |g_0| g_w / |g_w|, the best worst case within c |g_0| of the mean g_0.

    g_w solves the dual problem (eq. 4). Where it is 0 (a gradient is zero, or all cancel) the
    direction is not defined and the mean is kept, to which the authors' code comes too; so a task
    without gradient does not stop the others.
    """

    def __init__(self, c: float) -> None:
        super().__init__()
        self.c = c

    def forward(self, gramian: Tensor, stats: UpdateStats) -> Tensor:
        mean = torch.full_like(gramian[0], 1 / len(gramian))
        radius = self.c * (mean @ gramian @ mean).clamp(min=0).sqrt()
        found = conflict_averse(gramian, radius)
        length = (found @ gramian @ found).clamp(min=0).sqrt()
        counts = length > 1e-7 * norms(gramian).max()
        added = torch.where(counts, radius / length.where(counts, 1.0), 0.0)
        return mean + added * found
