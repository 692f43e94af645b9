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
from mtlkit.weightings.kinds import GramianWeighting, UpdateStats


class Singular(Enum):
    """Singular value that replaces all others."""

    SMALLEST = "smallest"  # as in the paper
    MEDIAN = "median"
    MEAN_SQUARE = "mean-square"


@attrs.frozen(kw_only=True)
class AlignedMTL(GradientWeighting):
    """Gradients made orthogonal and equal in norm (Senushkin et al., CVPR 2023, algorithm 1).

    `scale` selects the singular value that replaces all others.
    """

    scale: Singular = attrs.field(default=Singular.SMALLEST, validator=member_of(Singular))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "AlignedMTLWeights":
        return AlignedMTLWeights(self.scale)


TOLERANCE = 1e-10
"""Eigenvalues below this fraction of the largest count as zero."""


class AlignedMTLWeights(GramianWeighting):
    """Weights of the mean of the aligned gradients (algorithm 1).

    With the eigenvalues l and eigenvectors V of G the aligned gradients are B J with
    B = sqrt(l_r) V l^(-1/2) V', where l_r is the smallest eigenvalue above zero. They are
    orthogonal within their span and equal in norm. Weights may be negative; a gradient of zero has
    no effect.
    """

    def __init__(self, scale: Singular) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, gramian: Tensor, stats: UpdateStats) -> Tensor:
        values, vectors = torch.linalg.eigh(gramian)  # in ascending order
        nonzero = values > TOLERANCE * values[-1]
        inverse = torch.where(nonzero, values.clamp(min=0).rsqrt(), 0.0)
        rank = nonzero.sum()
        match self.scale:
            case Singular.SMALLEST:
                index = len(values) - rank
            case Singular.MEDIAN:  # of the nonzero values, the lower of two
                index = len(values) - rank + (rank - 1).clamp(min=0) // 2
            case Singular.MEAN_SQUARE:
                index = None
        if index is None:
            scale = (values * nonzero).sum() / rank.clamp(min=1)
        else:  # index_select avoids a device sync
            scale = values.index_select(0, index.clamp(max=len(values) - 1).reshape(1))[0]
        mean = torch.full_like(values, 1 / len(values))
        weights: Tensor = scale.clamp(min=0).sqrt() * (vectors @ (inverse * (vectors.T @ mean)))
        return weights
