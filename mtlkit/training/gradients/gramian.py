"""Jacobians of losses, and their Gramians in float64."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mtlkit.training.gradients.loss_scale import scaled

COLUMNS = 2**15
"""Number of columns of a Jacobian multiplied at once, so that a block fits into the cache."""


def gradients_at(points: Sequence[Tensor], losses: Tensor, scale: Tensor | None = None) -> Tensor:
    """Return the gradient of each loss (T,) at `points`, (T, P) in float32; keeps the graph.

    It is computed of the loss times `scale`, if there is one.
    """
    rows = []
    for loss in scaled(losses, scale).unbind():
        parts = torch.autograd.grad(
            loss, points, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        rows.append(torch.cat([part.float().flatten() for part in parts]))
    jacobian = torch.stack(rows)
    return jacobian if scale is None else jacobian / scale


def gramian_of(jacobian: Tensor, other: Tensor | None = None) -> Tensor:
    """Return the Gramian J J' (T, T) in float64 of a Jacobian (T, P); with an `other`, J O'.

    Products are computed in float64, some columns at a time. In float32 they are wrong in the
    seventh digit, and over millions of columns in the third, which hides gradients that cancel.
    """
    tasks, size = jacobian.shape
    if size <= COLUMNS:  # the common case, in fewer operations
        left = jacobian.double()
        return left @ (left if other is None else other.double()).T
    gramian = jacobian.new_zeros(tasks, tasks, dtype=torch.float64)
    for start in range(0, size, COLUMNS):
        left = jacobian[:, start : start + COLUMNS].double()
        right = left if other is None else other[:, start : start + COLUMNS].double()
        gramian.addmm_(left, right.T)
    return gramian
