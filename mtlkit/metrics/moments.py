"""Metrics from means and co-moments, accumulated without cancellation.

Paper: Chan, Golub, LeVeque, "Algorithms for Computing the Sample Variance", The American
Statistician 1983.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from mtlkit.metrics.base import MetricState
from mtlkit.metrics.elements import by_component, by_name
from mtlkit.targets.base import Target

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
