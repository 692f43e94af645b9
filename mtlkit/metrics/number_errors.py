"""Errors of numbers: absolute, squared and relative ones, and the fraction within a factor."""

import math
from functools import partial

import attrs
import torch
from torch import Tensor

from mtlkit.component import at_least
from mtlkit.metrics.base import FractionMetric, Metric, MetricState
from mtlkit.metrics.elements import NUMBERS
from mtlkit.metrics.mean import MeanState
from mtlkit.targets.base import Target


@attrs.frozen(kw_only=True)
class MAE(Metric):
    """Mean of \\|value - target\\|, in the unit of the label.

    The mean is over all present numbers of the split: all components of a vector, all pixels of a
    map ("absolute error" of depth).
    """

    name = "mae"
    targets = NUMBERS
    higher_is_better = False
    unit = "label"
    bounds = (0.0, math.inf)

    def build(self, target: Target) -> MetricState:
        return MeanState(target, absolute_error)


def absolute_error(outputs: Tensor, labels: Tensor) -> Tensor:
    """Return the absolute error of each value."""
    return (outputs - labels).abs()


@attrs.frozen(kw_only=True)
class RMSE(Metric):
    """Root of the mean of (value - target)^2, in the unit of the label.

    The mean is over all present numbers of the split, before the root.
    """

    name = "rmse"
    targets = NUMBERS
    higher_is_better = False
    unit = "label"
    bounds = (0.0, math.inf)

    def build(self, target: Target) -> MetricState:
        return MeanState(target, squared_error, finish=math.sqrt)


def squared_error(outputs: Tensor, labels: Tensor) -> Tensor:
    """Return the squared error of each value, in float64."""
    return (outputs - labels).double().square()


@attrs.frozen(kw_only=True)
class RelativeError(Metric):
    """Mean of \\|value - target\\| / \\|target\\| over all present targets of the split.

    Targets of exactly 0 are ignored. A value of 1 is 100 percent.
    """

    name = "relative-error"
    targets = NUMBERS
    higher_is_better = False
    unit = "fraction"
    bounds = (0.0, math.inf)

    def build(self, target: Target) -> MetricState:
        return MeanState(target, relative_error, counted=is_not_zero)


def relative_error(outputs: Tensor, labels: Tensor) -> Tensor:
    """Return the relative error of each value, in float64."""
    return (outputs - labels).double().abs() / labels.double().abs()


def is_not_zero(labels: Tensor) -> Tensor:
    """Return True for each number except 0."""
    return labels != 0


FACTOR = 1.25
"""Factor of the threshold of `Delta` for a power of 1."""


@attrs.frozen(kw_only=True)
class Delta(FractionMetric):
    """Fraction of max(value / target, target / value) < 1.25^`power`, as reported for depth.

    Targets that are not positive are ignored; a value that is not positive counts as outside. The
    metric is called ``delta-2`` for a `power` of 2.
    """

    targets = NUMBERS

    power: int = attrs.field(default=1, validator=at_least(1))

    @property
    def name(self) -> str:
        return f"delta-{self.power}"

    def build(self, target: Target) -> MetricState:
        return MeanState(target, partial(is_within, power=self.power), counted=is_positive)


def is_within(outputs: Tensor, labels: Tensor, power: int) -> Tensor:
    """Return True for each positive value within a factor of 1.25^`power` of its positive label."""
    values, labels = outputs.double(), labels.double()
    return (values > 0) & (torch.maximum(values / labels, labels / values) < FACTOR**power)


def is_positive(labels: Tensor) -> Tensor:
    """Return True for each number above 0."""
    return labels > 0
