"""Mean relative error."""

import math

import attrs
from torch import Tensor

from mtlkit.metrics.base import Metric, MetricState
from mtlkit.metrics.elements import NUMBERS
from mtlkit.metrics.mean import MeanState
from mtlkit.targets.base import Target


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
