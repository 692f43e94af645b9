"""Norms and cosines of gradients, from their Gramian.

Solvers work on cosines, which avoids a loss of precision if gradient norms are very unequal.
Shapes: K tasks.
"""

import torch
from torch import Tensor


def norms(gramian: Tensor) -> Tensor:
    """Return the norms (K,) of the gradients.

    >>> norms(torch.tensor([[9.0, 0.0], [0.0, 16.0]])).tolist()
    [3.0, 4.0]
    """
    return gramian.diagonal().clamp(min=0).sqrt()


def inverse_norms(gramian: Tensor) -> Tensor:
    """Return 1 / |g| (K,), and 0 for a gradient of zero."""
    squares = gramian.diagonal()
    return torch.where(squares > 0, squares.rsqrt(), 0.0)


def cosines(gramian: Tensor, inverse: Tensor) -> Tensor:
    """Return the cosines (K, K) between the gradients, from their `inverse` norms (K,).

    The row and column of a gradient of zero are 0, including the diagonal.

    >>> gramian = torch.tensor([[4.0, -2.0], [-2.0, 1.0]])
    >>> cosines(gramian, inverse_norms(gramian)).tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    return inverse.unsqueeze(1) * gramian * inverse
