"""Fraction of correct predictions."""

import attrs
from torch import Tensor

from mtlkit.metrics.base import FractionMetric, MetricState
from mtlkit.metrics.elements import CLASSES
from mtlkit.metrics.mean import MeanState
from mtlkit.targets.base import Target
from mtlkit.targets.multi_label import MultiLabelTarget


@attrs.frozen(kw_only=True)
class Accuracy(FractionMetric):
    """Fraction of elements whose class has the largest logit; pixel accuracy for a map of classes.

    A multi-label task has a logit for each label, above 0 for true.
    """

    name = "accuracy"
    targets = (*CLASSES, MultiLabelTarget)

    def build(self, target: Target) -> MetricState:
        multi_label = isinstance(target, MultiLabelTarget)
        return MeanState(target, is_correct_label if multi_label else is_correct)


def is_correct(outputs: Tensor, labels: Tensor) -> Tensor:
    """Return True for each element whose largest output (..., C) is that of its label (...)."""
    return outputs.argmax(dim=-1) == labels


def is_correct_label(outputs: Tensor, labels: Tensor) -> Tensor:
    """Return True for each logit that is above 0 if its label is 1, and only then."""
    return (outputs > 0) == (labels == 1)
