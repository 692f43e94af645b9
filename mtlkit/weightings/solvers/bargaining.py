"""Solver of G a = a^(-p) for weights a > 0, used by Nash-MTL and FairGrad.

The solution minimizes a' G a / 2 minus the sum of the antiderivatives of a^(-p), a convex function.
Newton steps are relative to a, which makes them invariant to gradient norms, and change a by at
most the fraction `MAX_STEP`, which keeps weights above zero. Shapes: K tasks.
"""

from math import sqrt

import torch
from torch import Tensor

from mtlkit.weightings.solvers.active_set import dot, norm_of, on_floats, solve_positive

STEPS = 16
"""Newton steps; gradients with a solution need at most 15 in our tests, and mostly 4.

No solution exists if some positive combination of the gradients is zero. The weights are then
large, and the norm of the direction is close to zero.
"""

MAX_STEP = 0.7


def capped(weights: Tensor, largest_mean: float | None) -> Tensor:
    """Return `weights` (K,), scaled down to the mean `largest_mean` if their mean is larger.

    >>> capped(torch.tensor([3.0, 1.0]), 1.0).tolist()
    [1.5, 0.5]
    """
    if largest_mean is None:
        return weights
    return weights * (largest_mean / weights.mean().clamp(min=largest_mean))


def bargain(gramian: Tensor, power: float = 1.0) -> Tensor:
    """Return the weights a (K,) with G a = a^(-power); 0 for a gradient of zero.

    >>> bargain(torch.tensor([[4.0, 0.0], [0.0, 1.0]], dtype=torch.float64)).tolist()
    [0.5, 1.0]
    """
    if on_floats(gramian):
        return gramian.new_tensor(_on_floats(gramian.tolist(), power))
    return bargain_of_tensors(gramian, power)


def bargain_of_tensors(gramian: Tensor, power: float) -> Tensor:
    """Return the weights of `bargain` by tensor operators, which need no sync on a GPU."""
    nonzero = gramian.diagonal() > 0
    squares = torch.where(nonzero, gramian.diagonal(), 1.0)
    # a gradient of zero becomes a unit gradient orthogonal to all others, which affects none
    matrix = gramian + torch.diag(squares - gramian.diagonal())
    inverse = squares.rsqrt()
    # exact for orthogonal gradients; conflicting ones start at larger weights
    agreement = (inverse @ matrix @ inverse) / len(matrix)
    a = squares ** (-1 / (1 + power)) * agreement.clamp(min=0.01).rsqrt()
    for _ in range(STEPS):
        rest = a ** (1 - power)
        scale = (power * rest + a * a * squares).rsqrt()  # scales the Hessian's diagonal to 1
        b = a * scale
        hessian = b.unsqueeze(1) * matrix * b + torch.diag(power * rest * scale * scale)
        solved, _ = torch.linalg.solve_ex(hessian, scale * (a * (matrix @ a) - rest))
        move = scale * solved
        size = move.abs().amax()
        a = a * (1 - move * (MAX_STEP / size).clamp(max=1))
        if not a.is_cuda and size < 1e-5:  # on a GPU the test would force a sync
            break
    return torch.where(nonzero, a, 0.0)


def _on_floats(gramian: list[list[float]], power: float) -> list[float]:
    """Return the weights of `bargain` by the same steps on floats."""
    tasks = range(len(gramian))
    nonzero = [gramian[i][i] > 0 for i in tasks]
    for i in tasks:
        gramian[i][i] = gramian[i][i] if nonzero[i] else 1.0
    squares = [gramian[i][i] for i in tasks]
    agreement = norm_of(gramian, [1 / sqrt(s) for s in squares]) ** 2 / len(gramian)
    a = [s ** (-1 / (1 + power)) / sqrt(max(agreement, 0.01)) for s in squares]
    for _ in range(STEPS):
        rest = [x ** (1 - power) for x in a]
        scale = [1 / sqrt(power * r + x * x * s) for r, x, s in zip(rest, a, squares, strict=True)]
        b = [x * s for x, s in zip(a, scale, strict=True)]
        rows = [
            [b[i] * g * other for g, other in zip(gramian[i], b, strict=True)]
            + [scale[i] * (a[i] * dot(gramian[i], a) - rest[i])]
            for i in tasks
        ]
        for i in tasks:
            rows[i][i] += power * rest[i] * scale[i] ** 2
        move = [s * v for s, (v,) in zip(scale, solve_positive(rows)[0], strict=True)]
        size = max(map(abs, move))
        part = min(1.0, MAX_STEP / size) if size else 1.0
        a = [x * (1 - part * m) for x, m in zip(a, move, strict=True)]
        if size < 1e-5:
            break
    return [x if known else 0.0 for x, known in zip(a, nonzero, strict=True)]
