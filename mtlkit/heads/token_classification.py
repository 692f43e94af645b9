"""A class for each token of a sequence."""

from typing import ClassVar

import attrs
from torch import Tensor, nn

from mtlkit.component import between
from mtlkit.features.base import FeatureSpec
from mtlkit.features.tokens import TokenFeatures
from mtlkit.heads.base import Head, HeadModule
from mtlkit.heads.cross_entropy import LinearCrossEntropy
from mtlkit.heads.linear import LinearHead
from mtlkit.metrics.accuracy import Accuracy
from mtlkit.metrics.base import Metric
from mtlkit.targets.base import Target
from mtlkit.targets.tokens import TokenTarget


@attrs.frozen(kw_only=True)
class TokenClassification(Head):
    """Linear classifier of each token, trained with the cross-entropy of the labeled tokens."""

    targets: ClassVar[tuple[type[Target], ...]] = (TokenTarget,)
    reads: ClassVar[tuple[type[FeatureSpec], ...]] = (TokenFeatures,)
    default_metrics: ClassVar[tuple[Metric, ...]] = (Accuracy(),)

    label_smoothing: float = attrs.field(default=0.0, validator=between(0, 1))

    def build(self, features: FeatureSpec, target: Target) -> "HeadModule":
        return TokenClassifier(self, features.width, target.classes)


class TokenClassifier(LinearHead):
    """Logits (N, L, C) and the mean cross-entropy of the labeled tokens of each sequence.

    >>> import torch
    >>> head = TokenClassifier(TokenClassification(), 8, ("NOUN", "VERB"))
    >>> head.loss(torch.zeros(1, 3, 8), torch.tensor([[0, 1, -1]])).tolist()  # ln 2
    [0.6931471824645996]
    """

    def __init__(
        self, config: TokenClassification, features: int, classes: tuple[str, ...]
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(features, len(classes))
        nn.init.normal_(self.linear.weight, std=0.01)
        nn.init.zeros_(self.linear.bias)
        self.label_smoothing = config.label_smoothing

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.linear(features)
        return logits

    def cross_entropy(self) -> LinearCrossEntropy:
        return LinearCrossEntropy(
            weight=self.linear.weight,
            bias=self.linear.bias,
            label_smoothing=self.label_smoothing,
        )
