"""Solver of G a = a^(-p) for weights a > 0, used by Nash-MTL and FairGrad.

The solution minimizes a' G a / 2 minus the sum of the antiderivatives of a^(-p), a convex function.
Newton steps are relative to a, which makes them invariant to gradient norms, and change a by at
most the fraction `MAX_STEP`, which keeps weights above zero. Shapes: K tasks.
"""

import torch
from torch import Tensor

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
