"""Metrics from the counts of hits, true elements and predicted elements of each class."""

from collections.abc import Callable

import attrs
import torch
from torch import Tensor

from mtlkit.metrics.base import AveragedMetric, FractionMetric, MetricState, SumState
from mtlkit.metrics.elements import CLASSES, classes_last
from mtlkit.targets.base import Target
from mtlkit.targets.class_map import ClassMapTarget
from mtlkit.targets.multi_label import MultiLabelTarget

Score = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Maps hits, true and predicted elements of classes (K,) to their scores (K,), NaN if undefined."""


class ClassCounts(SumState):
    """Score of the classes, or of the labels of a multi-label task, from counts over the split.

    `score` gets the number of hits, of true elements and of predicted elements, in float64. The
    metric is the mean over the classes whose score is defined; with `pooled` it is the score of the
    counts summed over classes. The state has 3 integers for each class.
    """

    def __init__(self, target: Target, score: Score, *, pooled: bool = False) -> None:
        self._names = target.classes or target.components
        super().__init__(target, 3, len(self._names), dtype=torch.int64)
        self._score = score
        self._pooled = pooled

    def update(self, outputs: Tensor, labels: Tensor) -> None:
        present = self._target.present(labels)
        if self._target.classes:
            counts = self._of_classes(classes_last(self._target, outputs), labels, present)
        else:
            true, predicted = present & (labels == 1), present & (outputs > 0)
            counts = torch.stack([true & predicted, true, predicted]).sum(dim=1)
        self._add(counts)

    def compute(self) -> float | None:
        counts = self._sums.double()
        if self._pooled:
            counts = counts.sum(dim=1, keepdim=True)
        value = self._score(*counts).nanmean().item()
        return None if value != value else value

    def parts(self) -> dict[str, float]:
        scores = self._score(*self._sums.double()).tolist()
        named = zip(self._names, scores, strict=True)
        return {name: score for name, score in named if score == score}

    def _of_classes(self, outputs: Tensor, labels: Tensor, present: Tensor) -> Tensor:
        """Return the counts (3, C); elements without a label are counted in a class that is cut."""
        size = len(self._names)
        predicted = outputs.argmax(dim=-1)
        hits = present & (predicted == labels)
        codes = (torch.where(hits, labels, size), torch.where(present, labels, size),
                 torch.where(present, predicted, size))  # fmt: skip
        return torch.stack([_histogram(values, size + 1)[:size] for values in codes])


def _histogram(codes: Tensor, size: int) -> Tensor:
    """Return the number of each code (size,), without the device sync of `torch.bincount`."""
    flat = codes.reshape(-1)
    return torch.zeros(size, dtype=torch.int64, device=flat.device).scatter_add_(
        0, flat, torch.ones_like(flat)
    )


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


@attrs.frozen(kw_only=True)
class MeanIoU(FractionMetric):
    """Mean over classes of hits / (true + predicted - hits), counted over all pixels of the split.

    It is not a mean over images. A class that is neither true nor predicted anywhere is left out of
    the mean. Pixels without a label are ignored.
    """

    name = "mean-iou"
    targets = (ClassMapTarget,)

    def build(self, target: Target) -> MetricState:
        return ClassCounts(target, intersection_over_union)


def intersection_over_union(hits: Tensor, true: Tensor, predicted: Tensor) -> Tensor:
    """Return the intersection over union of each class; NaN if it is absent."""
    return hits / (true + predicted - hits)
