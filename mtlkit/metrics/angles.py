"""Angles between predicted and true directions: their mean, median and fraction within a limit."""

from functools import partial

import attrs
import torch
from torch import Tensor

from mtlkit.component import above
from mtlkit.metrics.base import FractionMetric, Metric, MetricState, SumState
from mtlkit.metrics.mean import MeanState
from mtlkit.targets.base import Target
from mtlkit.targets.unit_vector_map import UnitVectorMapTarget

BINS = 18_000
"""Number of bins of the median, 0.01 degrees wide."""


@attrs.frozen(kw_only=True)
class _AngleMetric(Metric):
    """A metric of the angles, in degrees, of all pixels of the split that have a vector."""

    targets = (UnitVectorMapTarget,)
    higher_is_better = False
    unit = "degree"
    bounds = (0.0, 180.0)


@attrs.frozen(kw_only=True)
class AngleMean(_AngleMetric):
    """Mean angle in degrees between predicted and true vectors, over all pixels of the split."""

    name = "angle-mean"

    def build(self, target: Target) -> MetricState:
        return MeanState(target, angles)


@attrs.frozen(kw_only=True)
class AngleMedian(_AngleMetric):
    """Median angle in degrees between predicted and true vectors, over all pixels of the split.

    It is the center of the bin with the median in a histogram with bins of 0.01 degrees, so it
    differs from the exact median by at most 0.005 degrees, and memory is constant. It is the lower
    of two middle elements.
    """

    name = "angle-median"

    def build(self, target: Target) -> MetricState:
        return MedianState(target, BINS + 1, dtype=torch.int64)


@attrs.frozen(kw_only=True)
class AngleWithin(FractionMetric):
    """Fraction of pixels whose angle is below `degrees`.

    The metric is called ``angle-within-22.5`` for 22.5 degrees.
    """

    targets = (UnitVectorMapTarget,)

    degrees: float = attrs.field(default=11.25, validator=above(0))

    @property
    def name(self) -> str:
        return f"angle-within-{self.degrees:g}"

    def build(self, target: Target) -> MetricState:
        return MeanState(target, partial(is_below, degrees=self.degrees))


class MedianState(SumState):
    """Histogram of the angles, with a last bin for predictions without a direction."""

    def update(self, outputs: Tensor, labels: Tensor) -> None:
        present = self._target.present(labels).reshape(-1).long()
        values = angles(outputs, labels).reshape(-1)
        bins = (values * (BINS / 180)).nan_to_num(0.0).long().clamp(0, BINS - 1)
        counts = torch.zeros(BINS + 1, dtype=torch.int64, device=bins.device)
        self._add(counts.scatter_add_(0, torch.where(values.isnan(), BINS, bins), present))

    def compute(self) -> float | None:
        total = int(self._sums.sum())
        if not total:
            return None
        if self._sums[BINS]:
            return torch.nan
        middle = int(torch.searchsorted(self._sums.cumsum(0), (total + 1) // 2))
        return (middle + 0.5) * 180 / BINS


def angles(outputs: Tensor, labels: Tensor) -> Tensor:
    """Return the angle of each pixel (N, H, W) in degrees; NaN if a vector has no direction.

    Vectors (N, 3, H, W) need not have length 1. The arc tangent is exact for small angles, unlike
    the arc cosine.
    """
    values, labels = outputs.double(), labels.double()
    sine = torch.linalg.cross(values, labels, dim=1).norm(dim=1)
    cosine = (values * labels).sum(dim=1)
    angle = torch.atan2(sine, cosine).rad2deg()
    return torch.where((sine == 0) & (cosine == 0), torch.nan, angle)


def is_below(outputs: Tensor, labels: Tensor, degrees: float) -> Tensor:
    """Return True for each pixel (N, H, W) whose angle is below `degrees`."""
    return angles(outputs, labels) < degrees
