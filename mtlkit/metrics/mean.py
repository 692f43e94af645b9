"""Mean over all present elements, the state of most metrics."""

from collections.abc import Callable

import torch
from torch import Tensor

from mtlkit.metrics.base import SumState
from mtlkit.metrics.elements import by_name, classes_last, sum_by_component
from mtlkit.targets.base import Target


class MeanState(SumState):
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
        super().__init__(target, 2, max(len(target.components), 1))
        self._values = values
        self._finish = finish
        self._counted = counted

    def update(self, outputs: Tensor, labels: Tensor) -> None:
        present = self._target.present(labels)
        if self._counted is not None:
            present = present & self._counted(labels)
        values = self._values(classes_last(self._target, outputs), labels).double()
        # `where` avoids the device sync of indexing by a mask
        total = sum_by_component(self._target, torch.where(present, values, 0.0))
        self._add(torch.stack([total, sum_by_component(self._target, present).double()]))

    def compute(self) -> float | None:
        total, count = (part.sum().item() for part in self._sums)
        return self._finish(total / count) if count else None

    def parts(self) -> dict[str, float]:
        total, count = self._sums
        means = by_name(self._target, total / count)  # NaN for a count of 0
        return {name: self._finish(mean) for name, mean in means.items()}
