"""Weights a > 0 with G a = a^(-p): what Nash-MTL and FairGrad ask of a Gramian.

The solution is the minimum of a' G a / 2 minus the sum of the antiderivatives of a^(-p), a convex
function. Newton's steps are taken in units of a, in which gradients of any length look alike, and
changed by at most `FURTHEST` of a, so that weights stay above zero. Shapes: K tasks.
"""

import torch
from torch import Tensor

STEPS = 16
"""Steps of Newton's method; gradients with a solution were seen to need 15 at most, mostly 4.

Where some combination of the gradients is zero there is none: the weights then are as far out as
they came, and the direction, which they say nothing about any more, is as short as it is.
"""

FURTHEST = 0.7


def bargain(gramian: Tensor, power: float = 1.0) -> Tensor:
    """The weights a (K,) with G a = a^(-power); 0 for a gradient of zero.

    >>> bargain(torch.tensor([[4.0, 0.0], [0.0, 1.0]], dtype=torch.float64)).tolist()
    [0.5, 1.0]
    """
    there = gramian.diagonal() > 0
    squares = torch.where(there, gramian.diagonal(), 1.0)
    # a gradient of zero is at right angles to all others, and bargains by itself for nothing
    matrix = gramian + torch.diag(squares - gramian.diagonal())
    inverse = squares.rsqrt()
    # orthogonal gradients start at their solution, conflicting ones farther out, where they meet
    agreement = (inverse @ matrix @ inverse) / len(matrix)
    a = squares ** (-1 / (1 + power)) * agreement.clamp(min=0.01).rsqrt()
    for _ in range(STEPS):
        rest = a ** (1 - power)
        scale = (power * rest + a * a * squares).rsqrt()  # of the Hessian, to ones on its diagonal
        b = a * scale
        hessian = b.unsqueeze(1) * matrix * b + torch.diag(power * rest * scale * scale)
        solved, _ = torch.linalg.solve_ex(hessian, scale * (a * (matrix @ a) - rest))
        move = scale * solved
        size = move.abs().amax()
        a = a * (1 - move * (FURTHEST / size).clamp(max=1))
        if not a.is_cuda and size < 1e-5:  # on a CPU, asking costs nothing
            break
    return torch.where(there, a, 0.0)
