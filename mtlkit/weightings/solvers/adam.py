"""Adam with its state in buffers, for weights that are not updated by the recipe's optimizer."""

import torch
from torch import Tensor, nn


class AdamState(nn.Module):
    """Steps of Adam (Kingma & Ba, ICLR 2015, algorithm 1) for a vector of T values.

    `decay` is L2 regularization: it is added to the gradient, not decoupled. Each value has its own
    step count; values that are not updated keep their state.
    """

    def __init__(self, size: int, learning_rate: float, decay: float = 0.0) -> None:
        super().__init__()
        self.learning_rate, self.decay = learning_rate, decay
        self.first = nn.Buffer(torch.zeros(size))
        self.second = nn.Buffer(torch.zeros(size))
        self.steps = nn.Buffer(torch.zeros(size))

    def descend(self, values: Tensor, gradient: Tensor, at: Tensor) -> None:
        """Move the entries `at` (K,) of `values` (T,) against `gradient` (K,), in place."""
        start = values[at]
        gradient = gradient + self.decay * start
        steps = self.steps[at] + 1
        first = self.first[at].lerp(gradient, 0.1)
        second = self.second[at].lerp(gradient.square(), 0.001)
        scale = (second / (1 - 0.999**steps)).sqrt() + 1e-8
        values[at] = start - self.learning_rate * first / (1 - 0.9**steps) / scale
        self.first[at], self.second[at], self.steps[at] = first, second, steps
