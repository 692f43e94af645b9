"""Linear programs over the simplex.

For up to `FEW` variables all vertices are computed in closed form, in one batch of small systems
and without a device sync. For more, a primal-dual interior-point method runs.
"""

from functools import lru_cache
from itertools import combinations

import torch
from torch import Tensor

from mtlkit.weightings.solvers.interior_point import STEPS, step_size

FEW = 4
"""Largest number of variables for which all vertices are solved: 56 systems of 4 equations."""

GAP = 1e-9
"""Mean complementarity at which the CPU stops, for matrices with entries of at most 1."""

PENALTY = 1e3
"""Cost of missing a constraint, for entries and objectives of at most 1.

Opposite gradients leave a single point that meets all constraints. With a price instead, the
problem has an interior, which Newton steps need.
"""


def maximize_on_simplex(objective: Tensor, matrix: Tensor, lower: Tensor) -> Tensor:
    """Return the maximum of `objective` . w over w >= 0 with sum 1 and `matrix` w >= `lower`.

    Shapes: (K,), (M, K), (M,); some point must meet the constraints, to rounding. NaN if the
    objective is not finite.

    >>> matrix = torch.tensor([[1.0, -1.0]], dtype=torch.float64)
    >>> goal, zero = torch.tensor([0.0, 1.0]).double(), torch.zeros(1).double()
    >>> maximize_on_simplex(goal, matrix, zero).round(decimals=6).tolist()
    [0.5, 0.5]
    """
    smallest = torch.finfo(matrix.dtype).tiny
    scale = matrix.abs().max().clamp(min=smallest)
    goal = objective / objective.abs().max().clamp(min=smallest)
    solve = _best_vertex if len(objective) <= FEW else _interior
    weights = solve(goal, matrix / scale, lower / scale)
    return weights / weights.sum() + 0 * goal.sum()


def _best_vertex(goal: Tensor, matrix: Tensor, lower: Tensor) -> Tensor:
    """Return the best of the points at which K - 1 of all inequalities are equations."""
    count = len(goal)
    planes = torch.cat([torch.eye(count, dtype=goal.dtype, device=goal.device), matrix])
    offsets = torch.cat([torch.zeros_like(goal), lower])
    chosen = _choices(len(planes), count - 1, goal.device)
    one = goal.new_ones(len(chosen), 1)
    systems = torch.cat([planes[chosen], one.unsqueeze(2).expand(-1, -1, count)], dim=1)
    points, _ = torch.linalg.solve_ex(systems, torch.cat([offsets[chosen], one], dim=1))
    missed = (offsets - points @ planes.T).amax(dim=1).clamp(min=0)
    # parallel planes meet nowhere, or far outside
    value = torch.nan_to_num(points @ goal - PENALTY * missed, nan=-torch.inf)
    best: Tensor = points.index_select(0, value.argmax().reshape(1))[0].clamp(min=0)
    return best


@lru_cache(maxsize=16)
def _choices(count: int, size: int, device: torch.device) -> Tensor:
    """Return all subsets of `size` of `count` numbers, (S, `size`)."""
    return torch.tensor(list(combinations(range(count), size)), dtype=torch.int64, device=device)


def _interior(goal: Tensor, matrix: Tensor, lower: Tensor) -> Tensor:
    """Return the maximum by Newton steps on the conditions of optimality.

    They start outside the constraints (Nocedal & Wright, Numerical Optimization, 2nd edition,
    section 14.2). Of several maxima, the result is the center.
    """
    rows, count = matrix.shape
    # variables x = (w, slacks, missed) with A x = b, x >= 0, and costs to minimize
    slack = -torch.eye(rows, dtype=matrix.dtype, device=matrix.device)
    one, none = torch.ones_like(lower), torch.zeros_like(lower)
    total = torch.cat([torch.ones_like(goal), none, none[:1]]).unsqueeze(0)
    a = torch.cat([torch.cat([matrix, slack, one.unsqueeze(1)], dim=1), total])
    b = torch.cat([lower, one[:1]])
    costs = torch.cat([-goal, none, PENALTY * one[:1]])
    x, z, y = torch.ones_like(costs), torch.ones_like(costs), torch.zeros_like(b)
    for _ in range(STEPS):
        missing, slope = b - a @ x, costs - a.T @ y - z
        gap = (x * z).mean()
        done = gap < GAP  # further steps would only add rounding
        if not gap.is_cuda and done:
            break
        target = 0.1 * gap / x - z
        ratios = x / z
        side = missing + a @ (ratios * (slope - target))
        system = (a * ratios) @ a.T
        system.diagonal().mul_(1 + 1e-14)
        dy = torch.linalg.solve_ex(system, side)[0]
        dz = slope - a.T @ dy
        dx = ratios * (target - dz)
        size, dual = step_size(x, dx), step_size(z, dz)
        steps = ((x, size * dx), (y, dual * dy), (z, dual * dz))
        x, y, z = (torch.where(done, value, value + step) for value, step in steps)
    return x[:count]
