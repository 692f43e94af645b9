"""Expected calibration error.

Paper: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017, eq. 3.
"""

import attrs
import torch
from torch import Tensor

from mtlkit.component import at_least
from mtlkit.metrics.base import Metric, MetricState, SumState
from mtlkit.metrics.elements import CLASSES, classes_last
from mtlkit.targets.base import Target

BINS = 15
"""Number of bins of the paper."""


@attrs.frozen(kw_only=True)
class ECE(Metric):
    """Mean of \\|accuracy - confidence\\| over `bins` equal intervals of the confidence.

    The confidence of an element is its largest probability; a bin weighs as its elements. The
    metric is called ``ece-10`` for 10 bins, ``ece`` for 15.
    """

    targets = CLASSES
    higher_is_better = False
    unit = "fraction"
    bounds = (0.0, 1.0)

    bins: int = attrs.field(default=BINS, validator=at_least(1))

    @property
    def name(self) -> str:
        return "ece" if self.bins == BINS else f"ece-{self.bins}"

    def build(self, target: Target) -> MetricState:
        return CalibrationState(target, 3, self.bins)


class CalibrationState(SumState):
    """Elements, hits and summed confidence (3, bins) of the bins."""

    def update(self, outputs: Tensor, labels: Tensor) -> None:
        present = self._target.present(labels).reshape(-1).double()
        logits = classes_last(self._target, outputs).float()
        confidence, predicted = (part.reshape(-1) for part in logits.softmax(dim=-1).max(dim=-1))
        hits = (predicted == labels.reshape(-1)).double()
        values = torch.stack([present, present * hits, confidence.double() * present])
        bins = self._sums.shape[1]
        bin_of = (confidence * bins).ceil().nan_to_num(1.0).long().clamp(1, bins) - 1
        sums = torch.zeros(3, bins, dtype=torch.float64, device=values.device)
        self._add(sums.index_add_(1, bin_of, values))

    def compute(self) -> float | None:
        elements, hits, confidence = self._sums
        count = elements.sum().item()
        return (hits - confidence).abs().sum().item() / count if count else None
