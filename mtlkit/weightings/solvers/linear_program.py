"""Linear programs over the simplex, by a primal-dual interior-point method."""

import torch
from torch import Tensor

STEPS = 40
"""Largest number of steps; random problems of 2 to 100 tasks need 10 to 25.

On a GPU all steps run, because a test of convergence would force a sync.
"""

GAP = 1e-9
"""Mean complementarity at which the CPU stops, for matrices with entries of at most 1."""

PENALTY = 1e3
"""Cost of missing a constraint, for entries and objectives of at most 1.

Opposite gradients leave a single point that meets all constraints. With a price instead, the
problem has an interior, which Newton steps need.
"""


def maximize_on_simplex(objective: Tensor, matrix: Tensor, lower: Tensor) -> Tensor:
    """Return the maximum of `objective` . w over w >= 0 with sum 1 and `matrix` w >= `lower`.

    Shapes: (K,), (M, K), (M,); some point must meet the constraints. Of several maxima it is the
    center. Newton steps on the conditions of optimality from a point outside the constraints
    (Nocedal & Wright, Numerical Optimization, 2nd edition, section 14.2).

    >>> matrix = torch.tensor([[1.0, -1.0]], dtype=torch.float64)
    >>> goal, zero = torch.tensor([0.0, 1.0]).double(), torch.zeros(1).double()
    >>> maximize_on_simplex(goal, matrix, zero).round(decimals=6).tolist()
    [0.5, 0.5]
    """
    rows, count = matrix.shape
    goal_scale = objective.abs().max().clamp(min=torch.finfo(matrix.dtype).tiny)
    scale = matrix.abs().max().clamp(min=torch.finfo(matrix.dtype).tiny)
    # variables x = (w, slacks, missed) with A x = b, x >= 0, and costs to minimize
    slack = -torch.eye(rows, dtype=matrix.dtype, device=matrix.device)
    one, none = torch.ones_like(lower), torch.zeros_like(lower)
    total = torch.cat([torch.ones_like(objective), none, none[:1]]).unsqueeze(0)
    a = torch.cat([torch.cat([matrix / scale, slack, one.unsqueeze(1)], dim=1), total])
    b = torch.cat([lower / scale, one[:1]])
    costs = torch.cat([-objective / goal_scale, none, PENALTY * one[:1]])
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
        size, dual = _size(x, dx), _size(z, dz)
        steps = ((x, size * dx), (y, dual * dy), (z, dual * dz))
        x, y, z = (torch.where(done, value, value + step) for value, step in steps)
    weights = x[:count]
    return weights / weights.sum()


def _size(values: Tensor, change: Tensor) -> Tensor:
    """Return 0.99 of the largest step that keeps `values` above zero, at most 1."""
    return (0.99 * torch.where(change < 0, -values / change, torch.inf).min()).clamp(max=1)
