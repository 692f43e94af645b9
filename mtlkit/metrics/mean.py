"""Mean over all present targets, the state of most metrics."""

from collections.abc import Callable

import torch
from torch import Tensor

from mtlkit.metrics.base import MetricState, is_present


class MeanState(MetricState):
    """Mean of ``values(outputs, target)`` over the present targets, summed in float64.

    `values` returns a tensor of the shape of the target; elements of missing targets are ignored.
    `finish` maps the mean to the metric, such as a square root. Both must be importable functions,
    because states are pickled.

    >>> state = MeanState(torch.sub)
    >>> state.update(torch.tensor([5.0, 9.0]), torch.tensor([2.0, torch.nan]))
    >>> state.compute()
    3.0
    """

    def __init__(
        self,
        values: Callable[[Tensor, Tensor], Tensor],
        finish: Callable[[float], float] = float,
    ) -> None:
        self._values = values
        self._finish = finish
        self._total = torch.zeros((), dtype=torch.float64)
        self._count = torch.zeros((), dtype=torch.int64)

    def update(self, outputs: Tensor, target: Tensor) -> None:
        present = is_present(target)
        # `where` avoids the device sync of indexing by a mask
        values = torch.where(present, self._values(outputs, target).double(), 0.0)
        self._total = self._total.to(target.device) + values.sum()
        self._count = self._count.to(target.device) + present.sum()

    def merge(self, other: "MeanState") -> None:
        self._total = self._total + other._total.to(self._total.device)
        self._count = self._count + other._count.to(self._count.device)

    def compute(self) -> float | None:
        count = int(self._count)
        return self._finish(self._total.item() / count) if count else None
