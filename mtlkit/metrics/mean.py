"""Mean over all present elements, the state of most metrics."""

from collections.abc import Callable

import torch
from torch import Tensor

from mtlkit.metrics.base import MetricState
from mtlkit.metrics.elements import by_name, classes_last, sum_by_component
from mtlkit.targets.base import Target


class MeanState(MetricState):
    """Mean of ``values(outputs, labels)`` over the present labels, summed in float64.

    `values` gets the logits of classes with the classes last, and returns a tensor of the shape of
    `target.present`; elements of missing labels are ignored. `counted(labels)` restricts the mean
    to some of the present labels. `finish` maps the mean to the metric, such as a square root. All
    must be importable functions, because states are pickled.

    >>> from mtlkit.data import NumberTarget
    >>> state = MeanState(NumberTarget(), torch.sub)
    >>> state.update(torch.tensor([5.0, 9.0]), torch.tensor([2.0, torch.nan]))
    >>> state.compute()
    3.0
    """

    def __init__(
        self,
        target: Target,
        values: Callable[[Tensor, Tensor], Tensor],
        finish: Callable[[float], float] = float,
        counted: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self._target = target
        self._values = values
        self._finish = finish
        self._counted = counted
        size = max(len(target.components), 1)
        self._total = torch.zeros(size, dtype=torch.float64)
        self._count = torch.zeros(size, dtype=torch.int64)

    def update(self, outputs: Tensor, labels: Tensor) -> None:
        present = self._target.present(labels)
        if self._counted is not None:
            present = present & self._counted(labels)
        values = self._values(classes_last(self._target, outputs), labels).double()
        # `where` avoids the device sync of indexing by a mask
        self._add(
            sum_by_component(self._target, torch.where(present, values, 0.0)),
            sum_by_component(self._target, present),
        )

    def merge(self, other: "MeanState") -> None:
        self._add(other._total.to(self._total.device), other._count.to(self._count.device))

    def compute(self) -> float | None:
        count = int(self._count.sum())
        return self._finish(self._total.sum().item() / count) if count else None

    def parts(self) -> dict[str, float]:
        means = by_name(self._target, self._total / self._count)  # NaN for a count of 0
        return {name: self._finish(mean) for name, mean in means.items()}

    def _add(self, total: Tensor, count: Tensor) -> None:
        self._total = self._total.to(total.device) + total
        self._count = self._count.to(count.device) + count
