"""Area under the receiver operating characteristic.

Paper: Hanley & McNeil, "The meaning and use of the area under a receiver operating characteristic
(ROC) curve", Radiology 1982: the probability that a positive scores above a negative.
"""

import attrs
import torch
from torch import Tensor

from mtlkit.metrics.base import AveragedMetric, MetricState
from mtlkit.metrics.ranking import RankingState
from mtlkit.targets.base import Target
from mtlkit.targets.class_label import ClassTarget
from mtlkit.targets.multi_label import MultiLabelTarget


@attrs.frozen(kw_only=True)
class AUROC(AveragedMetric):
    """Probability that a positive scores above a negative, a tie counted as half.

    An `average` of "macro" is the mean over labels, or over more than two classes, each against the
    rest; those without positives or without negatives are left out. "micro" ranks all labels of a
    multi-label task together. The value is exact: all scores are kept, 5 bytes for each sample and
    label, 4 (C + 1) bytes for each sample of C > 2 classes.

    Paper: Hanley & McNeil, "The meaning and use of the area under a receiver operating
    characteristic (ROC) curve", Radiology 1982.
    """

    targets = (ClassTarget, MultiLabelTarget)
    title = "auroc"

    def build(self, target: Target) -> MetricState:
        return RankingState(target, auroc, pooled=self.average == "micro")


def auroc(scores: Tensor, positives: Tensor) -> Tensor:
    """Return the area for scores (M,) and a mask of positives (M,): negatives below each positive.

    Each kind is sorted alone, without an index, so that many millions of rows take little memory.

    >>> auroc(torch.tensor([0.1, 0.4, 0.4, 0.8]), torch.tensor([False, False, True, True])).item()
    0.875
    """
    # a mask of NumPy selects without an index of 8 bytes a row
    values, mask = scores.numpy(), positives.numpy()
    sides = values[~mask], values[mask]
    for side in sides:
        side.sort()  # of the positives for speed: sorted searches read nearby memory
    negatives, above = map(torch.from_numpy, sides)
    below = torch.searchsorted(negatives, above).sum()
    below = below + torch.searchsorted(negatives, above, right=True).sum()  # ties count half
    area: Tensor = below.double() / (2.0 * len(above) * len(negatives))
    return area
