"""Fraction of values within a factor of 1.25 of the target."""

from functools import partial

import attrs
import torch
from torch import Tensor

from mtlkit.component import at_least
from mtlkit.metrics.base import FractionMetric, MetricState
from mtlkit.metrics.elements import NUMBERS
from mtlkit.metrics.mean import MeanState
from mtlkit.targets.base import Target

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
