"""Root mean squared error."""

import math

import attrs
from torch import Tensor

from mtlkit.metrics.base import Metric, MetricState
from mtlkit.metrics.elements import NUMBERS
from mtlkit.metrics.mean import MeanState
from mtlkit.targets.base import Target


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
