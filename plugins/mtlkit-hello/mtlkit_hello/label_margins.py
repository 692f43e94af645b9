"""The head `label-margins`, for several labels."""

from typing import ClassVar

import attrs
from torch import Tensor, nn

from mtlkit.backbones import FeatureSpec
from mtlkit.data import MultiLabelTarget, Target
from mtlkit.heads import Head, HeadModule, sample_means
from mtlkit.metrics import AUROC, F1, Metric
from mtlkit.plugins import MISSING, above


@attrs.frozen(kw_only=True)
class LabelMargins(Head):
    """Several labels by the hinge loss max(0, `margin` - y s) of each score s, y being 1 or -1."""

    targets: ClassVar[tuple[type[Target], ...]] = (MultiLabelTarget,)
    default_metrics: ClassVar[tuple[Metric, ...]] = (F1(), AUROC())

    margin: float = attrs.field(default=1.0, validator=above(0))

    def build(self, features: FeatureSpec, target: Target) -> HeadModule:
        return LabelMarginsHead(self.margin, features.width, len(target.components))


class LabelMarginsHead(HeadModule):
    """One score for each label (N, K); a label is predicted to be true if its score is above 0."""

    def __init__(self, margin: float, features: int, labels: int) -> None:
        super().__init__()
        self.margin = margin
        self.layer = nn.Linear(features, labels)

    def forward(self, features: Tensor) -> Tensor:
        scores: Tensor = self.layer(features)
        return scores

    def loss(self, features: Tensor, target: Tensor) -> Tensor:
        present = target != MISSING
        hinge = (self.margin - (2 * target - 1) * self(features).float()).clamp(min=0)
        return sample_means(hinge.where(present, 0.0), present)
