"""The multiple-gradient descent algorithm (MGDA; Sener & Koltun, NeurIPS 2018).

Paper: Ozan Sener and Vladlen Koltun, "Multi-Task Learning as Multi-Objective Optimization", NeurIPS
2018.
"""

from enum import Enum

import attrs
import torch
from torch import Tensor

from mtlkit.component import member_of
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import GradientWeighting
from mtlkit.weightings.kinds import GramianWeighting, RequiresPositiveLosses, UpdateStats
from mtlkit.weightings.solvers.gramian import norms
from mtlkit.weightings.solvers.simplex import min_norm


class Normalization(Enum):
    """Divisor of each gradient."""

    NONE = "none"
    NORM = "norm"  # the gradient's norm
    LOSS = "loss"  # the task's loss
    LOSS_AND_NORM = "loss-and-norm"  # both


@attrs.frozen(kw_only=True)
class MGDA(GradientWeighting):
    """Convex combination of gradients with the smallest norm (MGDA; Sener & Koltun, NeurIPS 2018).

    At the features it is the paper's MGDA-UB. `normalize` selects the divisor of each gradient. By
    definition one gradient of zero makes the combination zero, and shared parameters stop training.
    """

    normalize: Normalization = attrs.field(
        default=Normalization.NONE, validator=member_of(Normalization)
    )

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "MGDAWeights":
        by_loss = self.normalize in (Normalization.LOSS, Normalization.LOSS_AND_NORM)
        return (MGDAOfLosses if by_loss else MGDAWeights)(self.normalize)


class MGDAWeights(GramianWeighting):
    """Weights on the simplex whose combination of gradients has the smallest norm (eq. 3).

    The combination conflicts with no gradient. One gradient of zero makes it zero.
    """

    def __init__(self, normalize: Normalization) -> None:
        super().__init__()
        self.normalize = normalize

    def forward(self, gramian: Tensor, stats: UpdateStats) -> Tensor:
        if self.normalize is Normalization.NONE:
            return min_norm(gramian)
        scale = gramian.new_ones(len(gramian))
        if self.normalize in (Normalization.NORM, Normalization.LOSS_AND_NORM):
            scale = scale * norms(gramian)
        if self.normalize in (Normalization.LOSS, Normalization.LOSS_AND_NORM):
            scale = scale * stats.positive_losses.to(scale)
        inverse = torch.where(scale == 0, 0.0, 1 / scale)  # NaN for a negative loss
        return min_norm(inverse.unsqueeze(1) * gramian * inverse)


class MGDAOfLosses(MGDAWeights, RequiresPositiveLosses):
    """`MGDAWeights` for gradients divided by the loss."""
