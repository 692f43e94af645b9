"""Mean absolute error."""

import math

import attrs
from torch import Tensor

from mtlkit.metrics.base import Metric, MetricState
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
