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

    With G = D C D, D the norms and C the cosines, they are proportional to D^-1 C^+ 1. Weights may
    be negative. Where gradients are linearly dependent, of several solutions the one with the
    smallest C^+ 1 is taken, and where their sum is 0 (opposite gradients) all weights are 0. A
    gradient of zero gets the weight 0.
    """

    def forward(self, gramian: Tensor, stats: UpdateStats) -> Tensor:
        inverse = inverse_norms(gramian)
        values, vectors = torch.linalg.eigh(cosines(gramian, inverse))
        there = values > 1e-9 * values[-1]
        part = torch.where(there, vectors.sum(dim=0) / values, 0.0)  # C^+ 1 in eigenvectors
        raw = (vectors @ part) * inverse
        total = raw.sum()
        vanishes = total.abs() <= 1e-9 * raw.abs().max()
        return torch.where(vanishes, torch.zeros_like(raw), raw / total)
