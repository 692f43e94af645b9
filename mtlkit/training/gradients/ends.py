"""The ends of the shared network: tensors at which the tasks' gradients are computed."""

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

from mtlkit.training.gradients.surrogate import Pairs

Gradients = Sequence[Tensor | None]
"""Gradients at several tensors; None for one that is zero."""


@attrs.frozen(eq=False)
class Ends:
    """Outputs of the shared network; a row (F,) is a gradient at all F elements of `tensors`."""

    tensors: tuple[Tensor, ...]

    def pairs(self, direction: Tensor) -> Pairs:
        """Return each end that depends on trained parameters with its part of `direction` (F,)."""
        return zip(*self._attached(direction), strict=True)

    def attached(self, rows: Tensor) -> tuple[Sequence[Tensor], Sequence[Gradients]]:
        """Return the ends that depend on trained parameters, and each row's part at each of them.

        A part has the dtype of its end, and is None if the gradient there is zero.
        """
        pairs = [self._attached(row) for row in rows]
        ends = pairs[0][0]
        return ends, [
            [p.to(end.dtype) for p, end in zip(parts, ends, strict=True)] for _, parts in pairs
        ]

    def _attached(self, row: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        sizes = [end.numel() for end in self.tensors]
        parts = (row,) if len(sizes) == 1 else torch.split(row, sizes)
        pairs = [
            (end, part.view_as(end))
            for end, part in zip(self.tensors, parts, strict=True)
            if end.requires_grad
        ]
        return [end for end, _ in pairs], [part for _, part in pairs]


def write_row(row: Tensor, tensors: Sequence[Tensor], gradients: Gradients) -> None:
    """Write the `gradients` at `tensors` into a `row` (F,) of zeros for all their elements."""
    start = 0
    for tensor, gradient in zip(tensors, gradients, strict=True):
        if gradient is not None:
            row[start : start + tensor.numel()] = gradient.flatten()
        start += tensor.numel()
