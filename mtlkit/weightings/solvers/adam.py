"""Adam with its state in buffers, for weights that learn outside the recipe's optimiser."""

import torch
from torch import Tensor, nn


class AdamState(nn.Module):
    """Steps of Adam (Kingma & Ba, ICLR 2015, algorithm 1) for a vector of T values.

    `decay` is added to the gradient as in that paper's successors (L2, not decoupled). Every value
    counts its own steps: one that is not `at` a step keeps its state.
    """

    first: Tensor
    second: Tensor
    steps: Tensor

    def __init__(self, size: int, learning_rate: float, decay: float = 0.0) -> None:
        super().__init__()
        self.learning_rate, self.decay = learning_rate, decay
        for name in ("first", "second", "steps"):
            self.register_buffer(name, torch.zeros(size))

    def descend(self, values: Tensor, gradient: Tensor, at: Tensor) -> None:
        """Move the entries `at` (K,) of `values` (T,) against `gradient` (K,), in place."""
        own = values[at]
        gradient = gradient + self.decay * own
        steps = self.steps[at] + 1
        first = self.first[at].lerp(gradient, 0.1)
        second = self.second[at].lerp(gradient.square(), 0.001)
        scale = (second / (1 - 0.999**steps)).sqrt() + 1e-8
        values[at] = own - self.learning_rate * first / (1 - 0.9**steps) / scale
        self.first[at], self.second[at], self.steps[at] = first, second, steps
