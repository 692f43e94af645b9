"""Fraction of samples whose class is among the k most probable ones."""

from functools import partial

import attrs
from torch import Tensor

from mtlkit.component import at_least
from mtlkit.metrics.base import FractionMetric, MetricState
from mtlkit.metrics.elements import CLASSES
from mtlkit.metrics.mean import MeanState
from mtlkit.targets.base import Target


@attrs.frozen(kw_only=True)
class TopK(FractionMetric):
    """Fraction of elements whose class has one of the `k` largest logits.

    A class that ties with the k-th largest logit counts as found. The metric is called ``top-5``
    for `k` = 5.
    """

    targets = CLASSES

    k: int = attrs.field(default=5, validator=at_least(1))

    @property
    def name(self) -> str:
        return f"top-{self.k}"

    def build(self, target: Target) -> MetricState:
        return MeanState(target, partial(in_top, k=self.k))


def in_top(outputs: Tensor, labels: Tensor, k: int) -> Tensor:
    """Return True for each label (...) with fewer than `k` larger logits in `outputs` (..., C)."""
    logit = outputs.gather(-1, labels.clamp_min(0).unsqueeze(-1))
    return ((outputs > logit).sum(dim=-1) < k) & ~logit.squeeze(-1).isnan()
