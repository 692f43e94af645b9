"""Mean intersection over union."""

import attrs
from torch import Tensor

from mtlkit.metrics.base import FractionMetric, MetricState
from mtlkit.metrics.class_counts import ClassCounts
from mtlkit.targets.base import Target
from mtlkit.targets.class_map import ClassMapTarget


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
