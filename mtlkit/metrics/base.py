"""The contract of metrics: options with a direction and a unit, and a state that accumulates."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Self

import attrs
from torch import Tensor

from mtlkit.component import Component
from mtlkit.errors import did_you_mean
from mtlkit.task_types import MISSING, TaskKind


@attrs.frozen(kw_only=True)
class Metric(Component):
    """Agreement of the outputs of a task with its targets, as one number for a split.

    `kinds` lists the kinds of tasks whose outputs it reads, `higher_is_better` is its direction,
    `unit` is the unit of its values ("label" for the unit of the label itself), and `bounds` are
    the lowest and the highest value that it can have.
    """

    kinds: ClassVar[tuple[TaskKind, ...]]
    higher_is_better: ClassVar[bool]
    unit: ClassVar[str]
    bounds: ClassVar[tuple[float, float]] = (-math.inf, math.inf)

    @property
    def best(self) -> float:
        """The best value that it can have; infinite if there is no best one.

        >>> from mtlkit.metrics import Accuracy, MAE
        >>> Accuracy().best, MAE().best
        (1.0, 0.0)
        """
        return self.bounds[1] if self.higher_is_better else self.bounds[0]

    @property
    @abstractmethod
    def name(self) -> str:
        """Name in logs, reports and `primary`, the same for every task, without a slash.

        Two values with different options have different names, such as ``top1`` and ``top5``.
        """

    @abstractmethod
    def build(self, classes: tuple[str, ...]) -> "MetricState":
        """Return an empty state; `classes` is empty unless the task predicts classes."""


class MetricState(ABC):
    """What a metric has accumulated of a split; it can be pickled.

    The result depends neither on the order of the samples nor on their division into batches, so
    that the states of several ranks merge to the state of one.
    """

    @abstractmethod
    def update(self, outputs: Tensor, target: Tensor) -> None:
        """Add a batch of raw outputs (N, ...) and targets (N, ...), ignoring missing targets."""

    @abstractmethod
    def merge(self, other: Self) -> None:
        """Add what `other` has accumulated from other batches, on another rank for instance."""

    @abstractmethod
    def compute(self) -> float | None:
        """Return the metric of everything added so far; None if it is undefined.

        Without any target it is always undefined.
        """


def is_present(target: Tensor) -> Tensor:
    """Return which elements of `target` are present: numbers that are not NaN, classes not -1.

    >>> import torch
    >>> is_present(torch.tensor([2, -1])).tolist()
    [True, False]
    """
    return ~target.isnan() if target.is_floating_point() else target != MISSING


def metric_named(metrics: Sequence[Metric], name: str) -> Metric:
    """Return the metric called `name`; raise `ValueError` with the nearest name if there is none.

    >>> from mtlkit.metrics import MAE, RMSE
    >>> metric_named((MAE(), RMSE()), "rmse")
    RMSE()
    """
    by_name = {metric.name: metric for metric in metrics}
    if name not in by_name:
        hint = did_you_mean(name, by_name) or f"; expected one of {', '.join(by_name)}"
        raise ValueError(f"no metric named {name!r}{hint}")
    return by_name[name]
