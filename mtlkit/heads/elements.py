"""Losses of the elements of a target, and their mean for each sample."""

import math
from enum import Enum

import torch
import torch.nn.functional as F
from torch import Tensor


class PointLoss(Enum):
    """Loss of the difference between a predicted and a target number."""

    SQUARED = "squared"  # half the squared error, L2
    ABSOLUTE = "absolute"  # L1
    HUBER = "huber"  # squared up to `delta`, then linear (Huber 1964)


def point_losses(outputs: Tensor, target: Tensor, loss: PointLoss, delta: float = 1.0) -> Tensor:
    """Return the loss of each element of `outputs`, in its shape; 0 and no gradient for NaN.

    >>> target = torch.tensor([0.0, torch.nan])
    >>> point_losses(torch.tensor([3.0, 1.0]), target, PointLoss.HUBER).tolist()
    [2.5, 0.0]
    """
    # one node of the graph; NaN is replaced before the arithmetic, because NaN times 0 is NaN
    target = torch.where(target.isnan(), outputs.detach(), target)
    match loss:
        case PointLoss.SQUARED:  # Huber's loss without a linear part
            return F.huber_loss(outputs, target, reduction="none", delta=math.inf)
        case PointLoss.ABSOLUTE:
            return F.l1_loss(outputs, target, reduction="none")
        case PointLoss.HUBER:
            return F.huber_loss(outputs, target, reduction="none", delta=delta)


def sample_means(losses: Tensor, present: Tensor) -> Tensor:
    """Return the mean of each sample's `losses` over its `present` elements (N,); 0 for none.

    `losses` are 0 for missing elements; both have the shape (N, ...).

    >>> losses = torch.tensor([[1.0, 3.0, 0.0], [0.0, 0.0, 0.0]])
    >>> sample_means(losses, losses > 0).tolist()
    [2.0, 0.0]
    """
    count = present.flatten(1).sum(dim=1)
    return losses.flatten(1).sum(dim=1) / count.clamp(min=1)
