"""Mean of the recalls of the classes."""

import attrs
from torch import Tensor

from mtlkit.metrics.base import FractionMetric, MetricState
from mtlkit.metrics.class_counts import ClassCounts
from mtlkit.metrics.elements import CLASSES
from mtlkit.targets.base import Target


@attrs.frozen(kw_only=True)
class BalancedAccuracy(FractionMetric):
    """Mean over classes of the fraction of their elements that are predicted.

    A class without an element in the split is left out of the mean.
    """

    name = "balanced-accuracy"
    targets = CLASSES

    def build(self, target: Target) -> MetricState:
        return ClassCounts(target, recall)


def recall(hits: Tensor, true: Tensor, predicted: Tensor) -> Tensor:
    """Return the fraction of the true elements of each class that are hits."""
    return hits / true
