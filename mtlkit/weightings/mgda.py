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
from mtlkit.weightings.kinds import (
    GramianWeighting,
    RequiresPositiveLosses,
    UpdateStats,
    WeightingModule,
    positive,
)
from mtlkit.weightings.solvers.gramian import norms
from mtlkit.weightings.solvers.simplex import shortest


class Normalisation(Enum):
    """What a gradient is divided by before gradients are compared."""

    NONE = "none"
    NORM = "norm"  # its own norm
    LOSS = "loss"  # the loss of its task
    LOSS_AND_NORM = "loss-and-norm"  # both


@attrs.frozen(kw_only=True)
class MGDA(GradientWeighting):
    """The shortest vector among the convex combinations (MGDA; Sener & Koltun, NeurIPS 2018).

    At the features it is the paper's MGDA-UB. `normalise` divides gradients before they are
    compared. By definition a task whose gradient is zero makes the shortest vector zero: training
    of what is shared then stops.
    """

    normalise: Normalisation = attrs.field(
        default=Normalisation.NONE, validator=member_of(Normalisation)
    )

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        by_loss = self.normalise in (Normalisation.LOSS, Normalisation.LOSS_AND_NORM)
        return (MGDAOfLosses if by_loss else MGDAWeights)(self.normalise)


class MGDAWeights(GramianWeighting):
    """Weights on the simplex whose combination of gradients is shortest (eq. 3).

    The combination conflicts with no gradient. One gradient of zero makes it zero: by this
    definition a point where one task cannot improve is where training ends.
    """

    def __init__(self, normalise: Normalisation) -> None:
        super().__init__()
        self.normalise = normalise

    def forward(self, gramian: Tensor, stats: UpdateStats) -> Tensor:
        if self.normalise is Normalisation.NONE:
            return shortest(gramian)
        scale = gramian.new_ones(len(gramian))
        if self.normalise in (Normalisation.NORM, Normalisation.LOSS_AND_NORM):
            scale = scale * norms(gramian)
        if self.normalise in (Normalisation.LOSS, Normalisation.LOSS_AND_NORM):
            scale = scale * positive(stats.losses).to(scale)
        inverse = torch.where(scale == 0, 0.0, 1 / scale)  # NaN for a negative loss
        return shortest(inverse.unsqueeze(1) * gramian * inverse)


class MGDAOfLosses(MGDAWeights, RequiresPositiveLosses):
    """As `MGDAWeights`, for gradients that are divided by the loss."""
