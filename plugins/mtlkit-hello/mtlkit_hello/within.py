"""The metric `within`: the fraction of numbers that are predicted within a tolerance."""

from typing import ClassVar

import attrs
import torch
from torch import Tensor

from mtlkit.data import NumberTarget, Target
from mtlkit.metrics import Metric, MetricState
from mtlkit.plugins import above


@attrs.frozen(kw_only=True)
class Within(Metric):
    """The fraction of predictions whose error is at most `tolerance`, in the label's unit."""

    targets: ClassVar[tuple[type[Target], ...]] = (NumberTarget,)
    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = "fraction"
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    tolerance: float = attrs.field(default=1.0, validator=above(0))

    @property
    def name(self) -> str:
        # part of the name, because the value depends on it
        return f"within-{self.tolerance:g}"

    def build(self, target: Target) -> MetricState:
        return WithinState(target, self.tolerance)


class WithinState(MetricState):
    """Counts of hits and of labels."""

    def __init__(self, target: Target, tolerance: float) -> None:
        self.target = target
        self.tolerance = tolerance
        self.hits, self.count = torch.zeros(2, dtype=torch.int64)

    def update(self, outputs: Tensor, labels: Tensor) -> None:
        # the error of a missing label is NaN, which counts as no hit
        hits = (outputs - labels).abs() <= self.tolerance
        self.hits = self.hits.to(labels.device) + hits.sum()
        self.count = self.count.to(labels.device) + self.target.present(labels).sum()

    def merge(self, other: "WithinState") -> None:
        self.hits = self.hits + other.hits.to(self.hits.device)
        self.count = self.count + other.count.to(self.count.device)

    def compute(self) -> float | None:
        return self.hits.item() / self.count.item() if self.count > 0 else None
