"""Coefficient of determination."""

import math
from typing import ClassVar

import attrs
import torch
from torch import Tensor

from mtlkit.metrics.base import Metric, MetricState, is_present
from mtlkit.targets.base import Target
from mtlkit.targets.number import NumberTarget


@attrs.frozen(kw_only=True)
class R2(Metric):
    """Fraction of the targets' variance that is explained, 1 - SSE / SST.

    Predicting the mean of the targets scores 0. Undefined for constant targets.
    """

    name = "r2"
    targets: ClassVar[tuple[type[Target], ...]] = (NumberTarget,)
    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = "fraction"
    bounds: ClassVar[tuple[float, float]] = (-math.inf, 1.0)

    def build(self, target: Target) -> MetricState:
        return R2State()


class R2State(MetricState):
    """Sum of squared errors and moments of the targets, merged as in Chan et al. (1983).

    Merging moments avoids the cancellation of a difference of large sums.
    """

    def __init__(self) -> None:
        self._count, self._mean, self._spread, self._error = torch.zeros(4, dtype=torch.float64)

    def update(self, outputs: Tensor, target: Tensor) -> None:
        present = is_present(target)
        count = present.sum().double()
        known = torch.where(present, target, 0.0).double()
        mean = known.sum() / count.clamp_min(1)
        spread = torch.where(present, (known - mean).square(), 0.0).sum()
        error = torch.where(present, (outputs - target).double().square(), 0.0).sum()
        self._add(count, mean, spread, error)

    def merge(self, other: "R2State") -> None:
        self._add(other._count, other._mean, other._spread, other._error)

    def compute(self) -> float | None:
        spread = self._spread.item()
        return 1 - self._error.item() / spread if spread > 0 else None

    def _add(self, count: Tensor, mean: Tensor, spread: Tensor, error: Tensor) -> None:
        """Merge the moments of other targets into the state, on their device."""
        device = count.device
        total = self._count.to(device) + count
        difference = mean - self._mean.to(device)
        fraction = count / total.clamp_min(1)
        between = difference.square() * self._count.to(device) * fraction
        self._spread = self._spread.to(device) + spread + between
        self._mean = self._mean.to(device) + difference * fraction
        self._error = self._error.to(device) + error
        self._count = total
