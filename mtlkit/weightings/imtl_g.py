"""Impartial gradients (IMTL-G; Liu et al., ICLR 2021).

Paper: Liyang Liu, Yi Li, Zhanghui Kuang, Jing-Hao Xue, Yimin Chen, Wenming Yang, Qingmin Liao and
Wayne Zhang, "Towards Impartial Multi-task Learning", ICLR 2021.
"""

from math import sqrt

import attrs
import torch
from torch import Tensor

from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import GradientWeighting
from mtlkit.weightings.kinds import GramianWeighting, UpdateStats
from mtlkit.weightings.solvers.active_set import on_floats, solve_positive
from mtlkit.weightings.solvers.gramian import cosines, inverse_norms


@attrs.frozen(kw_only=True)
class IMTLG(GradientWeighting):
    """A direction with the same projection on every gradient (IMTL-G; Liu et al., ICLR 2021)."""

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "IMTLGWeights":
        return IMTLGWeights()


class IMTLGWeights(GramianWeighting):
    """Weights with sum 1 whose combination has the same projection on every unit gradient (eq. 3).

    With G = D C D, where D are the norms and C the cosines, weights are proportional to D^-1 C^+ 1.
    They may be negative. The pseudoinverse selects a solution if gradients are linearly dependent.
    If the weights sum to 0 (opposite gradients), all are 0. A gradient of zero gets weight 0.
    """

    def forward(self, gramian: Tensor, stats: UpdateStats) -> Tensor:
        if on_floats(gramian) and (few := _on_floats(gramian.tolist())) is not None:
            return gramian.new_tensor(few)
        inverse = inverse_norms(gramian)
        values, vectors = torch.linalg.eigh(cosines(gramian, inverse))
        nonzero = values > 1e-9 * values[-1]
        solution = torch.where(nonzero, vectors.sum(dim=0) / values, 0.0)  # C^+ 1 in eigenvectors
        raw = (vectors @ solution) * inverse
        total = raw.sum()
        vanishes = total.abs() <= 1e-9 * raw.abs().max()
        return torch.where(vanishes, torch.zeros_like(raw), raw / total)


def _on_floats(gramian: list[list[float]]) -> list[float] | None:
    """Return the weights on floats; None if gradients are zero or nearly linearly dependent."""
    squares = [row[i] for i, row in enumerate(gramian)]
    if not min(squares) > 0:
        return None
    inverse = [1 / sqrt(square) for square in squares]
    rows = [
        [v * g * other for g, other in zip(row, inverse, strict=True)] + [1.0]
        for v, row in zip(inverse, gramian, strict=True)
    ]
    solved, smallest = solve_positive(rows)
    if smallest < 1e-6:
        return None
    raw = [x * v for (x,), v in zip(solved, inverse, strict=True)]
    total = sum(raw)  # 1' C^-1 1 in units of the norms
    return [x / total if abs(total) > 1e-9 * max(map(abs, raw)) else 0.0 for x in raw]
