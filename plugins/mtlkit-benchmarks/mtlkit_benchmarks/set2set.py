"""A vector of a set: attention over its elements, whose order does not matter.

Paper: Oriol Vinyals, Samy Bengio and Manjunath Kudlur, "Order Matters: Sequence to Sequence for
Sets", ICLR 2016, section 4.1.
"""

import torch
from torch import Tensor, nn


class Set2Set(nn.Module):
    """Attention over the elements of a set, in `steps` (Vinyals et al., section 4.1)."""

    def __init__(self, width: int, steps: int) -> None:
        super().__init__()
        self.query = nn.LSTMCell(2 * width, width)
        self.steps = steps

    def forward(self, elements: Tensor, mask: Tensor) -> Tensor:
        """Return vectors (N, 2 D) of `elements` (N, L, D) that are in the `mask` (N, L)."""
        samples, _, width = elements.shape
        both = elements.new_zeros(samples, 2 * width)
        state = (elements.new_zeros(samples, width), elements.new_zeros(samples, width))
        for _ in range(self.steps):
            state = self.query(both, state)
            scores = (elements @ state[0].unsqueeze(2)).squeeze(2)
            attention = scores.masked_fill(~mask, -torch.inf).softmax(dim=1)
            read = (attention.unsqueeze(1) @ elements).squeeze(1)
            both = torch.cat([state[0], read], dim=1)
        return both
