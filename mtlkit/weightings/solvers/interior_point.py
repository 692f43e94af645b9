"""Number and size of the steps of interior-point methods."""

import torch
from torch import Tensor

STEPS = 40
"""Largest number of steps; random problems of 2 to 100 tasks need 10 to 25.

On a GPU all steps run, because a test of convergence would force a sync.
"""


def step_size(values: Tensor, change: Tensor) -> Tensor:
    """Return 0.99 of the largest step that keeps `values` above zero, at most 1."""
    return (0.99 * torch.where(change < 0, -values / change, torch.inf).min()).clamp(max=1)
