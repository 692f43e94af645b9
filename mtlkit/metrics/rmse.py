"""Root mean squared error."""

import math
from typing import ClassVar

import attrs
from torch import Tensor

from mtlkit.metrics.base import Metric, MetricState
from mtlkit.metrics.mean import MeanState
from mtlkit.targets.base import Target
from mtlkit.targets.number import NumberTarget


@attrs.frozen(kw_only=True)
class RMSE(Metric):
    """Root of the mean of (value - target)^2, in the unit of the label."""

    name = "rmse"
    targets: ClassVar[tuple[type[Target], ...]] = (NumberTarget,)
    higher_is_better: ClassVar[bool] = False
    unit: ClassVar[str] = "label"
    bounds: ClassVar[tuple[float, float]] = (0.0, math.inf)

    def build(self, target: Target) -> MetricState:
        return MeanState(squared_error, finish=math.sqrt)


def squared_error(outputs: Tensor, target: Tensor) -> Tensor:
    """Return the squared error of each value (N,), in float64."""
    return (outputs - target).double().square()
