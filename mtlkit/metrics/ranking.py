"""Metrics of a ranking, from the scores and labels of a whole split."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from mtlkit.metrics.base import MetricState
from mtlkit.metrics.row_buffer import RowBuffer
from mtlkit.targets.base import Target
from mtlkit.task_types import MISSING

Ranking = Callable[[Tensor, Tensor], Tensor]
"""Maps scores (M,) and a mask of positives (M,), both kinds present, to a metric ()."""


class RankingState(MetricState):
    """Mean over classes or labels of ``ranking(scores, positives)``, from all scores of the split.

    Two classes are one ranking, by the probability of the second. More classes are ranked one
    against the rest, by their probabilities. Each label of a multi-label task is one ranking, by
    its logit; with `pooled` all labels are one. A class or label without positives or without
    negatives is left out of the mean.

    Scores are kept in float32 and labels in 1 byte on the CPU, unless there are more than 127
    classes: about 5 bytes for each sample and label of a multi-label task, 4 (C + 1) for C classes.
    """

    def __init__(self, target: Target, ranking: Ranking, *, pooled: bool = False) -> None:
        self._target = target
        self._ranking = ranking
        self._pooled = pooled
        self._names = (*target.classes[1:],) if len(target.classes) == 2 else target.classes
        self._names = self._names or target.components
        self._scores = RowBuffer()
        self._labels = RowBuffer()

    def update(self, outputs: Tensor, labels: Tensor) -> None:
        classes = len(self._target.classes)
        scores = outputs.float()
        if classes == 2:
            scores = scores[:, 1:] - scores[:, :1]
        elif classes:
            scores = scores.softmax(dim=1)
        self._scores.append(scores)
        self._labels.append(labels.to(torch.int8 if classes < 128 else torch.int32))

    def merge(self, other: "RankingState") -> None:
        self._scores.extend(other._scores)
        self._labels.extend(other._labels)

    def compute(self) -> float | None:
        if not self._scores:
            return None
        scores, labels, present = self._columns()
        if self._pooled:
            value = self._one(scores[present], labels[present])
        else:
            value = self._by_name(scores, labels, present).nanmean()
        return None if value.isnan() and not _is_bad(scores[present]) else value.item()

    def parts(self) -> dict[str, float]:
        if not self._scores or len(self._names) < 2:
            return {}
        values = self._by_name(*self._columns()).tolist()
        named = zip(self._names, values, strict=True)
        return {name: value for name, value in named if value == value}

    def _columns(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return scores, positives and presence (M, K), a column for each ranking."""
        scores, labels = self._scores.rows(), self._labels.rows()
        if not self._target.classes:
            return scores, labels == 1, labels != MISSING
        present = (labels != MISSING).unsqueeze(1).expand_as(scores)
        if len(self._names) == 1:
            return scores, (labels == 1).unsqueeze(1), present
        codes = labels.long().clamp_min(0)
        return scores, one_hot(codes, len(self._names)).bool(), present

    def _by_name(self, scores: Tensor, positives: Tensor, present: Tensor) -> Tensor:
        columns = zip(scores.T, positives.T, present.T, strict=True)
        if present.all():  # a mask would copy all scores
            return torch.stack([self._one(score, true) for score, true, _ in columns])
        return torch.stack([self._one(score[mask], true[mask]) for score, true, mask in columns])

    def _one(self, scores: Tensor, positives: Tensor) -> Tensor:
        """Return the metric of one ranking; NaN without positives or without negatives."""
        if _is_bad(scores) or positives.all() or not positives.any():
            return torch.tensor(torch.nan, dtype=torch.float64)
        return self._ranking(scores, positives)


def _is_bad(scores: Tensor) -> bool:
    return bool(scores.isnan().any())
