"""Impartial gradients (IMTL-G; Liu et al., ICLR 2021).

Paper: Liyang Liu, Yi Li, Zhanghui Kuang, Jing-Hao Xue, Yimin Chen, Wenming Yang, Qingmin Liao and
Wayne Zhang, "Towards Impartial Multi-task Learning", ICLR 2021.
"""

import attrs
import torch
from torch import Tensor

from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import GradientWeighting
from mtlkit.weightings.kinds import GramianWeighting, UpdateStats, WeightingModule
from mtlkit.weightings.solvers.gramian import cosines, inverse_norms


@attrs.frozen(kw_only=True)
class IMTLG(GradientWeighting):
    """A direction with the same projection on every gradient (IMTL-G; Liu et al., ICLR 2021)."""

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        return IMTLGWeights()


class IMTLGWeights(GramianWeighting):
    """Weights with sum 1 whose combination has the same projection on every unit gradient (eq. 3).

    With G = D C D, where D are the norms and C the cosines, weights are proportional to D^-1 C^+ 1.
    They may be negative. The pseudoinverse selects a solution if gradients are linearly dependent.
    If the weights sum to 0 (opposite gradients), all are 0. A gradient of zero gets weight 0.
    """

    def forward(self, gramian: Tensor, stats: UpdateStats) -> Tensor:
        inverse = inverse_norms(gramian)
        values, vectors = torch.linalg.eigh(cosines(gramian, inverse))
        nonzero = values > 1e-9 * values[-1]
        solution = torch.where(nonzero, vectors.sum(dim=0) / values, 0.0)  # C^+ 1 in eigenvectors
        raw = (vectors @ solution) * inverse
        total = raw.sum()
        vanishes = total.abs() <= 1e-9 * raw.abs().max()
        return torch.where(vanishes, torch.zeros_like(raw), raw / total)
