"""The head `cosine`."""

from typing import ClassVar

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtlkit.backbones import FeatureSpec
from mtlkit.data import ClassTarget, Target
from mtlkit.heads import Head, HeadModule
from mtlkit.metrics import Accuracy, Metric
from mtlkit.plugins import MISSING, above


@attrs.frozen(kw_only=True)
class CosineClassifier(Head):
    """Classes by the cosine of the angle between the features and a direction of each class.

    The cosines are multiplied by `scale` before the softmax.
    """

    targets: ClassVar[tuple[type[Target], ...]] = (ClassTarget,)  # that it predicts
    default_metrics: ClassVar[tuple[Metric, ...]] = (Accuracy(),)  # of tasks that list none

    scale: float = attrs.field(default=16.0, validator=above(0))

    def build(self, features: FeatureSpec, target: Target) -> HeadModule:
        return CosineHead(self.scale, features.width, len(target.classes))


class CosineHead(HeadModule):
    """Logits s * cos(x, w_c) (N, C), and their cross-entropy."""

    def __init__(self, scale: float, features: int, classes: int) -> None:
        super().__init__()
        self.scale = scale
        self.directions = nn.Parameter(torch.randn(classes, features))

    def forward(self, features: Tensor) -> Tensor:
        return self.scale * F.linear(F.normalize(features), F.normalize(self.directions))

    def loss(self, features: Tensor, target: Tensor) -> Tensor:
        # float32 in every precision; one loss for each sample, 0 if its target is missing
        logits = self(features).float()
        return F.cross_entropy(logits, target, ignore_index=MISSING, reduction="none")
