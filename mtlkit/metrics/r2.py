"""Coefficient of determination."""

import math

import attrs
import torch
from torch import Tensor

from mtlkit.metrics.base import Metric, MetricState
from mtlkit.metrics.elements import NUMBERS
from mtlkit.metrics.moments import MomentState
from mtlkit.targets.base import Target


@attrs.frozen(kw_only=True)
class R2(Metric):
    """Fraction of the targets' variance that is explained, 1 - SSE / SST.

    Predicting the mean of the targets scores 0. Undefined for constant targets. For vectors and
    maps it is the mean over components or channels.
    """

    name = "r2"
    targets = NUMBERS
    higher_is_better = True
    unit = "fraction"
    bounds = (-math.inf, 1.0)

    def build(self, target: Target) -> MetricState:
        return MomentState(target, r2)


def r2(count: Tensor, mean: Tensor, products: Tensor) -> Tensor:
    """Return 1 - SSE / SST (K,) from the moments of outputs and labels."""
    difference = mean[0] - mean[1]
    error = products[0, 0] + products[1, 1] - 2 * products[0, 1] + count * difference.square()
    return torch.where(products[1, 1] > 0, 1 - error.clamp_min(0) / products[1, 1], torch.nan)
