"""A classifier of ordered classes with consistent ranks (CORAL).

Paper: Wenzhi Cao, Vahid Mirjalili and Sebastian Raschka, "Rank Consistent Ordinal Regression for
Neural Networks with Application to Age Estimation", Pattern Recognition Letters 2020.
"""

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtlkit.errors import AssemblyError
from mtlkit.features.base import FeatureSpec
from mtlkit.heads.base import Head, HeadModule
from mtlkit.heads.layers import output_layers, sizes
from mtlkit.metrics.accuracy import Accuracy
from mtlkit.targets.base import Target
from mtlkit.targets.class_label import ClassTarget
from mtlkit.task_types import MISSING


@attrs.frozen(kw_only=True)
class Ordinal(Head):
    """Classifier of ordered classes with one weight vector and a threshold between neighbors.

    The order is that of the classes in the data: numbers by value, or that of a `vocabulary`. The
    loss is the sum over thresholds of the binary cross-entropy of the class being above it (CORAL;
    Cao et al., 2020, eq. 4). `hidden` are the widths of hidden layers.
    """

    targets = (ClassTarget,)
    default_metrics = (Accuracy(),)

    hidden: tuple[int, ...] = attrs.field(default=(), validator=sizes)

    def build(self, features: FeatureSpec, target: Target) -> "HeadModule":
        return OrdinalHead(self, features.width, target.classes)


class OrdinalHead(HeadModule):
    """Log-probabilities of the classes (N, C), from P(y > k) = sigmoid(w x + b_k).

    >>> head = OrdinalHead(Ordinal(), 8, ("low", "middle", "high"))
    >>> head(torch.zeros(1, 8)).exp().round(decimals=2).tolist()  # both thresholds are 0
    [[0.5, 0.0, 0.5]]
    """

    def __init__(self, config: Ordinal, features: int, classes: tuple[str, ...]) -> None:
        super().__init__()
        if len(classes) < 2:
            raise AssemblyError(f"got {len(classes)} classes, expected two ordered classes or more")
        self.layers = output_layers(features, config.hidden, 1)
        self.thresholds = nn.Parameter(torch.zeros(len(classes) - 1))

    def _above(self, features: Tensor) -> Tensor:
        """Return the logits (N, C - 1) of the class being above each threshold."""
        scores: Tensor = self.layers(features).float()
        return scores + self.thresholds

    def forward(self, features: Tensor) -> Tensor:
        # the thresholds are in order at the optimum (theorem 1), not in every step
        above = self._above(features).sigmoid().cummin(dim=1).values
        ends = F.pad(F.pad(above, (1, 0), value=1.0), (0, 1), value=0.0)
        return (ends[:, :-1] - ends[:, 1:]).clamp(min=1e-6).log()

    def loss(self, features: Tensor, target: Tensor) -> Tensor:
        logits = self._above(features)
        ranks = torch.arange(logits.shape[1], device=target.device)
        truth = (target.unsqueeze(1) > ranks).float()
        losses = F.binary_cross_entropy_with_logits(logits, truth, reduction="none").sum(dim=1)
        return torch.where(target != MISSING, losses, 0.0)
