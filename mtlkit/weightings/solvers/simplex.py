"""Small problems over the simplex {w >= 0, sum w = 1}, solved on the tensors' device.

Up to `FEW` tasks, the solution of each support (which weights are not 0) is written down and the
best feasible one taken: exact, without a loop and without asking the device anything. More tasks
are solved by an interior-point method of a fixed number of steps. Shapes: K tasks.
"""

from functools import lru_cache

import torch
from torch import Tensor

from mtlkit.weightings.solvers.gramian import cosines, inverse_norms

FEW = 8
"""Up to how many tasks every support is tried: 255 systems of 8 equations."""

RIDGE = 1e-12
"""What keeps a support of linearly dependent gradients solvable, in units of a squared norm."""

STEPS = 40
"""How many steps the interior-point method takes; the gap shrinks about fivefold in each."""


def project(point: Tensor) -> Tensor:
    """The nearest point of the simplex to `point` (K,) (Duchi et al., ICML 2008).

    >>> project(torch.tensor([0.9, 0.5, -1.0])).tolist()
    [0.699999988079071, 0.30000001192092896, 0.0]
    """
    point = point - point.max()  # the same nearest point, and no digits lost
    ordered, _ = point.sort(descending=True)
    count = torch.arange(1, len(point) + 1, device=point.device, dtype=point.dtype)
    excess = (ordered.cumsum(0) - 1) / count
    last = (ordered > excess).sum().clamp(min=1) - 1
    # chosen by a tensor of one place: a number would have to be asked of the device
    nearest: Tensor = (point - excess.index_select(0, last.reshape(1))).clamp(min=0)
    return nearest


def shortest(gramian: Tensor) -> Tensor:
    """The weights (K,) on the simplex whose combination is shortest: argmin w' G w.

    A gradient of zero gets all the weight.

    >>> shortest(torch.tensor([[4.0, 0.0], [0.0, 1.0]], dtype=torch.float64)).tolist()
    [0.2, 0.8]
    """
    if len(gramian) > FEW:
        return _or_zero(gramian, _minimum(gramian))
    inverse = inverse_norms(gramian)
    systems, members = _on_supports(cosines(gramian, inverse))
    # on a support w is proportional to G^-1 1 = D^-1 C^-1 D^-1 1, C being the cosines
    solved, _ = torch.linalg.solve_ex(systems, members * inverse)
    return _or_zero(gramian, _shortest_among(solved * inverse))


def _or_zero(gramian: Tensor, weights: Tensor) -> Tensor:
    """`weights`, or all on the gradients of zero, should there be any: no vector is shorter."""
    zero = gramian.diagonal() <= 0
    found: Tensor = torch.where(zero.any(), zero / zero.sum().clamp(min=1), weights)
    return found


def _shortest_among(raw: Tensor) -> Tensor:
    """The shortest of the combinations G^-1 1 on each support (S, K)."""
    total = raw.sum(dim=1)
    # w' G w is 1 / total: the shortest is the largest among those with weights of one sign
    feasible = raw.amin(dim=1) >= -1e-9 * total
    best = torch.where(feasible, total, 0.0).argmax()
    chosen: Tensor = raw.index_select(0, best.reshape(1))[0].clamp(min=0)
    return chosen / chosen.sum()


def conflict_averse(gramian: Tensor, radius: Tensor) -> Tensor:
    """The weights (K,) on the simplex that minimise g_w . g_0 + radius |g_w|, g_0 being the mean.

    That is the dual of CAGrad's problem (Liu et al., NeurIPS 2021, eq. 4). Where no support gives
    less than 0 the minimum is g_w = 0, and the shortest combination is returned.
    """
    mean = gramian.mean(dim=1)  # g_t . g_0
    if len(gramian) > FEW:
        return _conflict_averse_of_many(gramian, mean, radius)
    inverse = inverse_norms(gramian)
    systems, members = _on_supports(cosines(gramian, inverse))
    scaled = members * inverse
    solved, _ = torch.linalg.solve_ex(systems, torch.stack([scaled, scaled * mean], dim=2))
    ones, against = (solved * inverse.unsqueeze(1)).unbind(dim=2)
    # w = s (level * G^-1 1 - G^-1 b) with |g_w| = radius * s; its length gives the level
    a, b = ones.sum(dim=1), against.sum(dim=1)
    c = against @ mean
    level = (b + (b * b - a * (c - radius * radius)).clamp(min=0).sqrt()) / a
    raw = level.unsqueeze(1) * ones - against
    # what a support gives is no point of the simplex where a weight is negative, or not a number
    feasible = raw.amin(dim=1) >= -1e-9 * raw.sum(dim=1)
    shortest_one = _or_zero(gramian, _shortest_among(ones))
    raw = torch.where(feasible.unsqueeze(1), raw, shortest_one).clamp(min=0)
    weights = raw / raw.sum(dim=1, keepdim=True)
    length = ((weights @ gramian) * weights).sum(dim=1).clamp(min=0).sqrt()
    value = torch.nan_to_num(weights @ mean + radius * length, nan=torch.inf)
    chosen: Tensor = weights.index_select(0, value.argmin().reshape(1))[0]
    return chosen


def _conflict_averse_of_many(gramian: Tensor, mean: Tensor, radius: Tensor) -> Tensor:
    """As `conflict_averse`: |g_w| = min over s of (s + w' G w / s) / 2, each side in turn."""
    weights = torch.full_like(mean, 1 / len(mean))
    scale = gramian.diagonal().max().clamp(min=torch.finfo(gramian.dtype).tiny)
    gramian, mean, radius = gramian / scale, mean / scale, radius / scale.sqrt()
    for _ in range(20):
        length = (weights @ gramian @ weights).clamp(min=1e-20).sqrt()
        weights = _minimum(gramian * (radius / length), mean)
    return weights


@lru_cache(maxsize=16)
def _supports(count: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Every choice of members among `count` tasks but none, S = 2^count - 1 of them.

    The members (S, count) as 0 and 1, the pairs of members (S, count, count), and the identity
    outside them with a ridge within.
    """
    numbers = torch.arange(1, 2**count, device=device)
    members = ((numbers.unsqueeze(1) >> torch.arange(count, device=device)) & 1).double()
    inside = members.unsqueeze(1) * members.unsqueeze(2)
    return members, inside, torch.diag_embed(1 - members + RIDGE)


def _on_supports(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """`matrix` (K, K) within each support, the identity outside it (S, K, K), and the supports."""
    members, inside, outside = _supports(len(matrix), matrix.device)
    return inside * matrix + outside, members


def _minimum(quadratic: Tensor, linear: Tensor | None = None) -> Tensor:
    """argmin w' Q w / 2 + c' w over the simplex, by a primal-dual interior-point method.

    Newton steps on Q w + c - z - level = 0, sum w = 1, w_t z_t = shrinking target (Nocedal &
    Wright, Numerical Optimization, 2nd edition, section 16.6).
    """
    count = len(quadratic)
    scale = quadratic.abs().max().clamp(min=torch.finfo(quadratic.dtype).tiny)
    q = quadratic / scale
    c = torch.zeros_like(q[0]) if linear is None else linear / scale
    w = torch.full_like(c, 1 / count)
    z = torch.ones_like(c)
    level = torch.zeros_like(c[0])
    ones = torch.ones_like(c)
    for _ in range(STEPS):
        target = 0.2 * (w * z).mean()
        slack = q @ w + c - level - z
        system = q + torch.diag(z / w)
        sides = torch.stack([ones, target / w - z - slack], dim=1)
        along, moved = torch.linalg.solve_ex(system, sides)[0].unbind(dim=1)
        change = (1 - w.sum() - moved.sum()) / along.sum()
        dw = moved + change * along
        dz = target / w - z - z / w * dw
        step = _within(w, dw, z, dz)
        w, z, level = w + step * dw, z + step * dz, level + step * change
    return w / w.sum()


def _within(w: Tensor, dw: Tensor, z: Tensor, dz: Tensor) -> Tensor:
    """The longest step of at most 1 that keeps `w` and `z` above zero, less a little."""
    values, moves = torch.cat([w, z]), torch.cat([dw, dz])
    room = torch.where(moves < 0, -values / moves, torch.inf)
    return (0.99 * room.min()).clamp(max=1)


def normalized(values: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
    """The weights (K,) of the terms present among `values` (T,), made to sum to 1, and their sum.

    Terms that all have the weight 0 begin again with equal ones.

    >>> normalized(torch.tensor([0.5, 0.25, 0.25]), torch.tensor([1, 2]))
    (tensor([0.5000, 0.5000]), tensor(0.5000))
    """
    own = values[indices]
    total = own.sum()
    equal = torch.full_like(own, 1 / len(own))
    return torch.where(total > 0, own / total, equal), total
