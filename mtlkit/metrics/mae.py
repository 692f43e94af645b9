"""Mean absolute error."""

import math
from typing import ClassVar

import attrs
from torch import Tensor

from mtlkit.metrics.base import Metric, MetricState
from mtlkit.metrics.mean import MeanState
from mtlkit.targets.base import Target
from mtlkit.targets.number import NumberTarget


@attrs.frozen(kw_only=True)
class MAE(Metric):
    """Mean of \\|value - target\\|, in the unit of the label."""

    name = "mae"
    targets: ClassVar[tuple[type[Target], ...]] = (NumberTarget,)
    higher_is_better: ClassVar[bool] = False
    unit: ClassVar[str] = "label"
    bounds: ClassVar[tuple[float, float]] = (0.0, math.inf)

    def build(self, target: Target) -> MetricState:
        return MeanState(absolute_error)


def absolute_error(outputs: Tensor, target: Tensor) -> Tensor:
    """Return the absolute error of each value (N,)."""
    return (outputs - target).abs()
