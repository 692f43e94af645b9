"""Metrics from means and co-moments, accumulated without cancellation.

Paper: Chan, Golub, LeVeque, "Algorithms for Computing the Sample Variance", The American
Statistician 1983.
"""

import math
from collections.abc import Callable

import attrs
import torch
from torch import Tensor

from mtlkit.metrics.base import Metric, MetricState
from mtlkit.metrics.elements import NUMBERS, by_component, by_name
from mtlkit.targets.base import Target
from mtlkit.targets.number import NumberTarget
from mtlkit.targets.vector import VectorTarget

Statistic = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Maps counts (K,), means (2, K) and co-moments (2, 2, K) to a metric (K,), NaN if undefined."""


class MomentState(MetricState):
    """Mean over components of a statistic of the outputs and the labels, in float64.

    `statistic` gets the number of labels, the means of outputs and labels, and the sums of the
    products of their deviations. Components for which it is undefined are left out of the mean.
    """

    def __init__(self, target: Target, statistic: Statistic) -> None:
        self._target = target
        self._statistic = statistic
        size = max(len(target.components), 1)
        self._count = torch.zeros(size, dtype=torch.float64)
        self._mean = torch.zeros(2, size, dtype=torch.float64)
        self._products = torch.zeros(2, 2, size, dtype=torch.float64)

    def update(self, outputs: Tensor, labels: Tensor) -> None:
        present = by_component(self._target, self._target.present(labels))
        both = [by_component(self._target, part).double() for part in (outputs, labels)]
        values = torch.where(present, torch.stack(both), 0.0)  # (2, M, K)
        count = present.sum(dim=0).double()
        mean = values.sum(dim=1) / count.clamp_min(1)
        deviation = torch.where(present, values - mean.unsqueeze(1), 0.0)
        self._add(count, mean, torch.einsum("imk,jmk->ijk", deviation, deviation))

    def merge(self, other: "MomentState") -> None:
        device = self._count.device
        self._add(other._count.to(device), other._mean.to(device), other._products.to(device))

    def compute(self) -> float | None:
        values = self._values()
        defined = values[~values.isnan() | ~self._mean.isfinite().all(dim=0)]
        return defined.mean().item() if len(defined) else None

    def parts(self) -> dict[str, float]:
        return by_name(self._target, self._values())

    def _values(self) -> Tensor:
        return self._statistic(self._count, self._mean, self._products)

    def _add(self, count: Tensor, mean: Tensor, products: Tensor) -> None:
        """Merge the moments of other elements into the state, on their device."""
        device = count.device
        before = self._count.to(device)
        total = before + count
        difference = mean - self._mean.to(device)
        fraction = count / total.clamp_min(1)
        between = difference.unsqueeze(0) * difference.unsqueeze(1) * before * fraction
        self._products = self._products.to(device) + products + between
        self._mean = self._mean.to(device) + difference * fraction
        self._count = total


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


@attrs.frozen(kw_only=True)
class CCC(Metric):
    """2 cov / (var(value) + var(target) + (mean(value) - mean(target))^2).

    Undefined if values and targets are the same constant. For vectors it is the mean over
    components, as used for valence and arousal.

    Paper: Lin, "A Concordance Correlation Coefficient to Evaluate Reproducibility", Biometrics
    1989, eq. 1, with variances divided by N.
    """

    name = "ccc"
    targets = (NumberTarget, VectorTarget)
    higher_is_better = True
    unit = "correlation"
    bounds = (-1.0, 1.0)

    def build(self, target: Target) -> MetricState:
        return MomentState(target, ccc)


def ccc(count: Tensor, mean: Tensor, products: Tensor) -> Tensor:
    """Return the coefficient (K,) from the moments of outputs and labels."""
    shift = count * (mean[0] - mean[1]).square()
    spread = products[0, 0] + products[1, 1] + shift
    value = (2 * products[0, 1] / spread).clamp(-1, 1)
    return torch.where(spread > 0, value, torch.nan)
