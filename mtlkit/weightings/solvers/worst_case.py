"""Interior-point solver of CAGrad's problem for many tasks.

CAGrad maximizes the worst improvement min_t g_t . (g_0 + r d) over directions |d| <= 1 (Liu et al.,
NeurIPS 2021, eq. 3): a linear objective under K linear constraints and a quadratic one. The
multipliers of the linear constraints solve the dual problem (eq. 4). Shapes: K tasks.
"""

import attrs
import torch
from torch import Tensor

from mtlkit.weightings.solvers.interior_point import STEPS, step_size

GAP = 1e-12
"""Reduction of the complementarity at which the CPU stops."""


@attrs.frozen(eq=False)
class _Point:
    """Primal d (K,) and level, and (K + 1,) multipliers and slacks of all constraints.

    The last constraint is (1 - |d|^2) / 2 >= 0.
    """

    d: Tensor
    level: Tensor
    multipliers: Tensor
    slacks: Tensor

    @property
    def gap(self) -> Tensor:
        return (self.multipliers * self.slacks).mean()


def worst_case_weights(gramian: Tensor, radius: Tensor, slope: Tensor) -> Tensor:
    """Return argmin of `slope` . w + `radius` |g_w| over the simplex; CAGrad's slope is g_t . g_0.

    Primal-dual interior-point method (Nocedal & Wright, Numerical Optimization, 2nd edition,
    section 19.3) in the span of the gradients. The bounded number of steps does not grow with K.

    >>> gramian = torch.diag(torch.tensor([1.0, 4.0], dtype=torch.float64))
    >>> weights = worst_case_weights(gramian, torch.tensor(1e-3), gramian.mean(dim=1))
    >>> weights.round(decimals=3).tolist()
    [1.0, 0.0]
    """
    scale = gramian.diagonal().max().clamp(min=torch.finfo(gramian.dtype).tiny)
    values, vectors = torch.linalg.eigh(gramian / scale)
    rows = vectors * values.clamp(min=0).sqrt() * (radius / scale.sqrt())  # r g_t in the span
    mean = slope / scale
    point = _start(rows, mean)
    last = GAP * point.gap
    for _ in range(STEPS):
        point = _step(rows, mean, point)
        if not last.is_cuda and point.gap < last:
            break
    weights = point.multipliers[:-1]
    return weights / weights.sum()


def _start(rows: Tensor, mean: Tensor) -> _Point:
    """Return a point within all constraints, at which all have the same complementarity."""
    level = mean.min() - torch.linalg.vector_norm(rows, dim=1).mean().clamp(min=1e-8)
    slacks = torch.cat([mean - level, mean.new_full((1,), 0.5)])
    return _Point(torch.zeros_like(mean), level, slacks[0] / len(mean) / slacks, slacks)


def _step(rows: Tensor, mean: Tensor, at: _Point) -> _Point:
    """Return the point after a Newton step towards a fifth of the complementarity."""
    target = 0.2 * at.gap / at.slacks
    ratios = at.multipliers / at.slacks
    # the slack of the quadratic constraint may differ from it, so that steps leave the sphere
    residual = (1 - at.d @ at.d) / 2 - at.slacks[-1]
    weighted = rows * ratios[:-1].unsqueeze(1)
    matrix = rows.T @ weighted + ratios[-1] * torch.outer(at.d, at.d)
    matrix.diagonal().add_(at.multipliers[-1])
    side = rows.T @ target[:-1] - at.d * (target[-1] - ratios[-1] * residual)
    column = weighted.sum(dim=0)
    solved, _ = torch.linalg.solve_ex(matrix, torch.stack([side, column], dim=1))
    first, second = solved.unbind(dim=1)
    rise = (1 - target[:-1].sum() + column @ first) / (ratios[:-1].sum() - column @ second)
    turn = first + rise * second
    slacks = torch.cat([rows @ turn - rise, (residual - at.d @ turn).reshape(1)])
    multipliers = target - at.multipliers - ratios * slacks
    changes = torch.cat([multipliers, slacks])
    size = step_size(torch.cat([at.multipliers, at.slacks]), changes)
    d, level = at.d + size * turn, at.level + size * rise
    linear = mean + rows @ d - level
    quadratic = at.slacks[-1:] + size * slacks[-1:]
    moved = at.multipliers + size * multipliers
    return _Point(d, level, moved, torch.cat([linear, quadratic]))
