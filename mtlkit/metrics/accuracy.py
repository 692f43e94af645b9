"""Fraction of correct class predictions."""

from typing import ClassVar

import attrs
from torch import Tensor

from mtlkit.metrics.base import Metric, MetricState
from mtlkit.metrics.mean import MeanState
from mtlkit.targets.base import Target
from mtlkit.targets.class_label import ClassTarget


@attrs.frozen(kw_only=True)
class Accuracy(Metric):
    """Fraction of samples whose target class (N,) has the largest logit (N, C)."""

    name = "accuracy"
    targets: ClassVar[tuple[type[Target], ...]] = (ClassTarget,)
    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = "fraction"
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def build(self, target: Target) -> MetricState:
        return MeanState(is_correct)


def is_correct(outputs: Tensor, target: Tensor) -> Tensor:
    """Return True for each sample whose largest output (N, C) is that of the target (N,)."""
    return outputs.argmax(dim=1) == target
