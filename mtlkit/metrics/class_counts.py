"""Metrics from the counts of hits, true elements and predicted elements of each class."""

from collections.abc import Callable

import torch
from torch import Tensor

from mtlkit.metrics.base import SumState
from mtlkit.metrics.elements import classes_last
from mtlkit.targets.base import Target

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
