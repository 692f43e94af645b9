"""Small problems over the simplex {w >= 0, sum w = 1}, solved on the tensors' device.

For up to `FEW` tasks on a CPU, they are solved on floats. On a GPU, the solution on each support
(the set of nonzero weights) is computed in closed form and the best feasible one returned: exact,
without a loop or a device sync, by up to 255 systems of 8 equations. For more tasks an
interior-point method runs a fixed number of steps. Shapes: K tasks.
"""

from functools import lru_cache

import torch
from torch import Tensor

from mtlkit.weightings.solvers.active_set import FEW, RIDGE, minimize_on_simplex, on_floats
from mtlkit.weightings.solvers.gramian import cosines, inverse_norms
from mtlkit.weightings.solvers.interior_point import STEPS, step_size
from mtlkit.weightings.solvers.worst_case import worst_case_weights

GAP = 1e-10
"""Duality gap at which the CPU stops, relative to the squared norm of the combination."""


def project(point: Tensor) -> Tensor:
    """Return the point of the simplex nearest to `point` (K,) (Duchi et al., ICML 2008).

    >>> project(torch.tensor([0.9, 0.5, -1.0])).tolist()
    [0.699999988079071, 0.30000001192092896, 0.0]
    """
    point = point - point.max()  # keeps the projection and avoids a loss of precision
    ordered, _ = point.sort(descending=True)
    count = torch.arange(1, len(point) + 1, device=point.device, dtype=point.dtype)
    excess = (ordered.cumsum(0) - 1) / count
    last = (ordered > excess).sum().clamp(min=1) - 1
    # index_select avoids a device sync
    nearest: Tensor = (point - excess.index_select(0, last.reshape(1))).clamp(min=0)
    return nearest


def min_norm(gramian: Tensor) -> Tensor:
    """Return the weights (K,) on the simplex of the combination with the smallest norm.

    That is argmin w' G w. A gradient of zero gets all the weight.

    >>> min_norm(torch.tensor([[4.0, 0.0], [0.0, 1.0]], dtype=torch.float64)).tolist()
    [0.2, 0.8]
    """
    if len(gramian) > FEW:
        return _prefer_zero(gramian, _minimum(gramian))
    if on_floats(gramian):
        return gramian.new_tensor(minimize_on_simplex(gramian.tolist(), [0.0] * len(gramian), 1.0))
    return min_norm_among_supports(gramian)


def min_norm_among_supports(gramian: Tensor) -> Tensor:
    """Return the weights (K,) of `min_norm` from the solutions on all supports."""
    inverse = inverse_norms(gramian)
    systems, members = _support_systems(cosines(gramian, inverse))
    # on a support w is proportional to G^-1 1 = D^-1 C^-1 D^-1 1 with norms D and cosines C
    solved, _ = torch.linalg.solve_ex(systems, members * inverse)
    return _prefer_zero(gramian, _min_norm_among(solved * inverse))


def _prefer_zero(gramian: Tensor, weights: Tensor) -> Tensor:
    """Return equal weights on the gradients of zero if there are any, and `weights` otherwise."""
    zero = gramian.diagonal() <= 0
    return torch.where(zero.any(), zero / zero.sum().clamp(min=1), weights)


def _min_norm_among(raw: Tensor) -> Tensor:
    """Return the feasible row with the smallest norm among G^-1 1 on each support (S, K)."""
    total = raw.sum(dim=1)
    # w' G w is 1 / total, so the smallest norm has the largest total
    feasible = raw.amin(dim=1) >= -1e-9 * total
    best = torch.where(feasible, total, 0.0).argmax()
    chosen: Tensor = raw.index_select(0, best.reshape(1))[0].clamp(min=0)
    return chosen / chosen.sum()


def smallest(gramian: Tensor, slope: Tensor, radius: Tensor) -> Tensor:
    """Return the weights (K,) on the simplex that minimize slope . w + radius |g_w|."""
    if not on_floats(gramian):
        return conflict_averse(gramian, radius, slope)
    weights = minimize_on_simplex(gramian.tolist(), slope.tolist(), radius.item())
    return gramian.new_tensor(weights)


def conflict_averse(gramian: Tensor, radius: Tensor, slope: Tensor | None = None) -> Tensor:
    """Return the weights (K,) on the simplex that minimize slope . w + radius |g_w|.

    Without a `slope`, it is g_t . g_0 with the mean gradient g_0: the dual of CAGrad's problem (Liu
    et al., NeurIPS 2021, eq. 4). If no support has a value below 0, the minimum is g_w = 0 and the
    combination with the smallest norm is returned.
    """
    mean = gramian.mean(dim=1) if slope is None else slope
    if len(gramian) > FEW:
        return _prefer_zero(gramian, worst_case_weights(gramian, radius, mean))
    inverse = inverse_norms(gramian)
    systems, members = _support_systems(cosines(gramian, inverse))
    scaled = members * inverse
    solved, _ = torch.linalg.solve_ex(systems, torch.stack([scaled, scaled * mean], dim=2))
    ones, against = (solved * inverse.unsqueeze(1)).unbind(dim=2)
    # w = s (level * G^-1 1 - G^-1 b) with |g_w| = radius * s, an equation for the level
    a, b = ones.sum(dim=1), against.sum(dim=1)
    c = against @ mean
    level = (b + (b * b - a * (c - radius * radius)).clamp(min=0).sqrt()) / a
    raw = level.unsqueeze(1) * ones - against
    # a row with a negative or NaN weight is outside the simplex
    feasible = raw.amin(dim=1) >= -1e-9 * raw.sum(dim=1)
    fallback = _prefer_zero(gramian, _min_norm_among(ones))
    raw = torch.where(feasible.unsqueeze(1), raw, fallback).clamp(min=0)
    weights = raw / raw.sum(dim=1, keepdim=True)
    length = ((weights @ gramian) * weights).sum(dim=1).clamp(min=0).sqrt()
    value = torch.nan_to_num(weights @ mean + radius * length, nan=torch.inf)
    chosen: Tensor = weights.index_select(0, value.argmin().reshape(1))[0]
    return chosen


@lru_cache(maxsize=16)
def _supports(count: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return all S = 2^count - 1 nonempty supports of `count` tasks.

    Returns the members (S, count) as 0 and 1, the pairs of members (S, count, count), and diagonal
    matrices with 1 outside the support and a ridge inside.
    """
    numbers = torch.arange(1, 2**count, device=device)
    members = ((numbers.unsqueeze(1) >> torch.arange(count, device=device)) & 1).double()
    inside = members.unsqueeze(1) * members.unsqueeze(2)
    return members, inside, torch.diag_embed(1 - members + RIDGE)


def _support_systems(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return `matrix` (K, K) on each support and the identity elsewhere (S, K, K), and members."""
    members, inside, outside = _supports(len(matrix), matrix.device)
    return inside * matrix + outside, members


def _minimum(gramian: Tensor) -> Tensor:
    """Return argmin w' G w / 2 over the simplex, by a primal-dual interior-point method.

    Newton steps on G w - z - level = 0, sum w = 1, w_t z_t = shrinking target (Nocedal & Wright,
    Numerical Optimization, 2nd edition, section 16.6).
    """
    count = len(gramian)
    q = gramian / gramian.abs().max().clamp(min=torch.finfo(gramian.dtype).tiny)
    w = torch.full_like(q[0], 1 / count)
    z = torch.ones_like(w)
    level = torch.zeros_like(w[0])
    ones = torch.ones_like(w)
    for _ in range(STEPS):
        products = q @ w
        gap = (w * z).mean()
        if not gap.is_cuda and count * gap < GAP * (w @ products):
            break
        target = 0.2 * gap
        slack = products - level - z
        system = q + torch.diag(z / w)
        sides = torch.stack([ones, target / w - z - slack], dim=1)
        along, moved = torch.linalg.solve_ex(system, sides)[0].unbind(dim=1)
        change = (1 - w.sum() - moved.sum()) / along.sum()
        dw = moved + change * along
        dz = target / w - z - z / w * dw
        step = step_size(torch.cat([w, z]), torch.cat([dw, dz]))
        w, z, level = w + step * dw, z + step * dz, level + step * change
    return w / w.sum()


def normalized(values: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
    """Return the `values` (T,) at `indices` (K,) divided by their sum, and the sum.

    If all are 0, the weights are equal.

    >>> normalized(torch.tensor([0.5, 0.25, 0.25]), torch.tensor([1, 2]))
    (tensor([0.5000, 0.5000]), tensor(0.5000))
    """
    weights = values[indices]
    total = weights.sum()
    equal = torch.full_like(weights, 1 / len(weights))
    return torch.where(total > 0, weights / total, equal), total
