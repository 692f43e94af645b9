"""Harmonic mean of precision and recall."""

import attrs
from torch import Tensor

from mtlkit.metrics.base import AveragedMetric, MetricState
from mtlkit.metrics.class_counts import ClassCounts
from mtlkit.metrics.elements import CLASSES
from mtlkit.targets.base import Target
from mtlkit.targets.multi_label import MultiLabelTarget


@attrs.frozen(kw_only=True)
class F1(AveragedMetric):
    """2 hits / (true + predicted), of counts over the split.

    An `average` of "macro" is the mean over classes, or over the labels of a multi-label task,
    without those that are neither true nor predicted anywhere. "micro" sums the counts first; for
    one class per element that is the accuracy.

    >>> F1().name, F1(average="micro").name
    ('f1', 'f1-micro')
    """

    targets = (*CLASSES, MultiLabelTarget)
    title = "f1"

    def build(self, target: Target) -> MetricState:
        return ClassCounts(target, f1, pooled=self.average == "micro")


def f1(hits: Tensor, true: Tensor, predicted: Tensor) -> Tensor:
    """Return the F1 of each class; NaN if it is neither true nor predicted."""
    return 2 * hits / (true + predicted)
