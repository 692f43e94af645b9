"""Independent component alignment (Aligned-MTL; Senushkin et al., CVPR 2023).

Paper: Dmitry Senushkin, Nikolay Patakin, Arseny Kuznetsov and Anton Konushin, "Independent
Component Alignment for Multi-Task Learning", CVPR 2023.
"""

from enum import Enum

import attrs
import torch
from torch import Tensor

from mtlkit.component import member_of
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import GradientWeighting
from mtlkit.weightings.kinds import GramianWeighting, UpdateStats, WeightingModule


class Singular(Enum):
    """Which singular value all of them are brought to."""

    SMALLEST = "smallest"  # the paper's
    MEDIAN = "median"
    MEAN_SQUARE = "mean-square"


@attrs.frozen(kw_only=True)
class AlignedMTL(GradientWeighting):
    """Gradients made orthogonal and equally long (Senushkin et al., CVPR 2023, algorithm 1).

    `scale` is the singular value that all are brought to.
    """

    scale: Singular = attrs.field(default=Singular.SMALLEST, validator=member_of(Singular))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        return AlignedMTLWeights(self.scale)


RANK = 1e-10
"""Eigenvalues below this part of the largest count as zero."""


class AlignedMTLWeights(GramianWeighting):
    """Weights of the mean of the aligned gradients (algorithm 1).

    With the eigenvalues l and eigenvectors V of G the aligned gradients are B J with
    B = sqrt(l_r) V l^(-1/2) V', l_r being the smallest eigenvalue above zero: orthogonal within
    their span, and equally long. Weights may be negative. A gradient of zero has no part in it.
    """

    def __init__(self, scale: Singular) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, gramian: Tensor, stats: UpdateStats) -> Tensor:
        values, vectors = torch.linalg.eigh(gramian)  # rising
        there = values > RANK * values[-1]
        inverse = torch.where(there, values.clamp(min=0).rsqrt(), 0.0)
        rank = there.sum()
        match self.scale:
            case Singular.SMALLEST:
                place = len(values) - rank
            case Singular.MEDIAN:  # of those above zero, the lower of two
                place = len(values) - rank + (rank - 1).clamp(min=0) // 2
            case Singular.MEAN_SQUARE:
                place = None
        if place is None:
            chosen = (values * there).sum() / rank.clamp(min=1)
        else:  # by a tensor of one place: a number would have to be asked of the device
            chosen = values.index_select(0, place.clamp(max=len(values) - 1).reshape(1))[0]
        mean = torch.full_like(values, 1 / len(values))
        weights: Tensor = chosen.clamp(min=0).sqrt() * (vectors @ (inverse * (vectors.T @ mean)))
        return weights
