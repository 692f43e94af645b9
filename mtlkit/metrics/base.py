"""Base classes of metrics: options with a direction and a unit, and an accumulating state."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Self

import attrs
import torch
from torch import Tensor

from mtlkit.component import Component, one_of
from mtlkit.errors import did_you_mean
from mtlkit.targets.base import Target

LABEL_UNIT = "label"
"""The unit of a metric in the unit of its labels, such as years."""


@attrs.frozen(kw_only=True)
class Metric(Component):
    """Agreement of the outputs of a task with its targets, as one number for a split.

    `targets` lists the types of targets that it measures, `higher_is_better` is its direction,
    `unit` the unit of its values ("label" for the unit of the label), and `bounds` are its lowest
    and highest possible values.

    Outputs have the shape of the labels, logits with the classes added: (N, C), (N, L, C) for
    tokens and (N, C, H, W) for maps. A multi-label task has a logit for each label.
    """

    targets: ClassVar[tuple[type[Target], ...]]
    higher_is_better: ClassVar[bool]
    unit: ClassVar[str]
    bounds: ClassVar[tuple[float, float]] = (-math.inf, math.inf)

    @property
    def best(self) -> float:
        """Best possible value; infinite if it is unbounded.

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
    def build(self, target: Target) -> "MetricState":
        """Return an empty state for labels of the type `target`."""


@attrs.frozen(kw_only=True)
class FractionMetric(Metric):
    """A metric that is a fraction, of which higher is better."""

    higher_is_better = True
    unit = "fraction"
    bounds = (0.0, 1.0)


@attrs.frozen(kw_only=True)
class AveragedMetric(FractionMetric):
    """A fraction for each class or label; "macro" is their mean, "micro" pools them first."""

    title: ClassVar[str]
    """Name of the macro average, and the start of the name of the other."""

    average: str = attrs.field(default="macro", validator=one_of("macro", "micro"))

    @property
    def name(self) -> str:
        return self.title if self.average == "macro" else f"{self.title}-{self.average}"


class MetricState(ABC):
    """Accumulated state of a metric over a split; it can be pickled.

    The result depends neither on the order of samples nor on their division into batches, so the
    states of several ranks can be merged.
    """

    @abstractmethod
    def update(self, outputs: Tensor, labels: Tensor) -> None:
        """Add a batch of raw outputs (N, ...) and labels (N, ...), ignoring missing labels."""

    @abstractmethod
    def merge(self, other: Self) -> None:
        """Add the state of `other`, accumulated from other batches or on another rank."""

    @abstractmethod
    def compute(self) -> float | None:
        """Return the metric over all added batches; None if undefined, as without any label."""

    def parts(self) -> dict[str, float]:
        """Return the metric of each class, label or component by name; empty if it has none."""
        return {}


class SumState(MetricState):
    """A state of sums over elements, kept on the device of the newest batch."""

    def __init__(self, target: Target, *shape: int, dtype: torch.dtype = torch.float64) -> None:
        self._target = target
        self._sums = torch.zeros(shape, dtype=dtype)

    def merge(self, other: Self) -> None:
        self._add(other._sums.to(self._sums.device))

    def _add(self, sums: Tensor) -> None:
        self._sums = self._sums.to(sums.device) + sums


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
