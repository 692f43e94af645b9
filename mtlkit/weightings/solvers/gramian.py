"""What schemes on a Gramian share: the gradients' norms and cosines.

Solvers work on cosines, so that a gradient a million times longer than another costs no digits.
Shapes: K tasks.
"""

import torch
from torch import Tensor


def norms(gramian: Tensor) -> Tensor:
    """The norms (K,) of the gradients.

    >>> norms(torch.tensor([[9.0, 0.0], [0.0, 16.0]])).tolist()
    [3.0, 4.0]
    """
    return gramian.diagonal().clamp(min=0).sqrt()


def inverse_norms(gramian: Tensor) -> Tensor:
    """1 / |g| (K,), and 0 for a gradient of zero, which then counts for nothing."""
    squares = gramian.diagonal()
    return torch.where(squares > 0, squares.rsqrt(), 0.0)


def cosines(gramian: Tensor, inverse: Tensor) -> Tensor:
    """The cosines (K, K) between the gradients, from their `inverse` norms (K,).

    They are 0 with a gradient of zero, its own included.

    >>> gramian = torch.tensor([[4.0, -2.0], [-2.0, 1.0]])
    >>> cosines(gramian, inverse_norms(gramian)).tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    return inverse.unsqueeze(1) * gramian * inverse
