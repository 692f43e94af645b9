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
    length = norms(gramian)
    return torch.where(length > 0, 1 / length, torch.zeros_like(length))


def cosines(gramian: Tensor) -> Tensor:
    """The cosines (K, K) between the gradients; 0 with a gradient of zero, its own included.

    >>> cosines(torch.tensor([[4.0, -2.0], [-2.0, 1.0]])).tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    inverse = inverse_norms(gramian)
    return gramian * inverse.unsqueeze(0) * inverse.unsqueeze(1)
