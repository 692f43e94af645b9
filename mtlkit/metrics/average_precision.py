"""Average precision."""

import attrs
import torch
from torch import Tensor

from mtlkit.metrics.base import AveragedMetric, MetricState
from mtlkit.metrics.ranking import RankingState
from mtlkit.targets.base import Target
from mtlkit.targets.class_label import ClassTarget
from mtlkit.targets.multi_label import MultiLabelTarget


@attrs.frozen(kw_only=True)
class AveragePrecision(AveragedMetric):
    """Sum over thresholds of precision times the gain in recall, without interpolation.

    `average` as for `AUROC`; the mean of "macro" is the "mAP" of multi-label tasks. The value is
    exact: all scores are kept, 5 bytes for each sample and label, 4 (C + 1) bytes for each sample
    of C > 2 classes.
    """

    targets = (ClassTarget, MultiLabelTarget)
    title = "average-precision"

    def build(self, target: Target) -> MetricState:
        return RankingState(target, average_precision, pooled=self.average == "micro")


def average_precision(scores: Tensor, positives: Tensor) -> Tensor:
    """Return the average precision for scores (M,) and a mask of positives (M,).

    >>> scores = torch.tensor([0.1, 0.4, 0.35, 0.8])
    >>> round(average_precision(scores, torch.tensor([False, False, True, True])).item(), 4)
    0.8333
    """
    _, inverse, counts = torch.unique(scores, return_inverse=True, return_counts=True)
    hits = torch.zeros(len(counts), dtype=torch.float64)
    hits.scatter_add_(0, inverse, positives.double())  # equal scores share a threshold
    hits, counts = hits.flip(0), counts.flip(0)
    precision = hits.cumsum(0) / counts.cumsum(0)
    mean: Tensor = (precision * hits).sum() / hits.sum()
    return mean
