"""A class for each token of a sequence."""

from collections.abc import Mapping

import attrs
from torch import Tensor, nn

from mtlkit.component import at_least_number, between
from mtlkit.features.base import FeatureSpec
from mtlkit.features.tokens import TokenFeatures
from mtlkit.heads.base import Head, HeadModule
from mtlkit.heads.class_loss import loss_weights
from mtlkit.heads.classification import LayeredClassificationHead
from mtlkit.heads.cross_entropy import LinearCrossEntropy
from mtlkit.heads.layers import sizes
from mtlkit.heads.linear import LinearHead
from mtlkit.metrics.accuracy import Accuracy
from mtlkit.targets.base import Target
from mtlkit.targets.tokens import TokenTarget


@attrs.frozen(kw_only=True)
class TokenClassification(Head):
    """Classifier of each token, trained with the cross-entropy of the labeled tokens.

    `hidden` are the widths of hidden layers. `class_weights`, `balanced`, `focal` and
    `label_smoothing` are those of `classification`.
    """

    targets = (TokenTarget,)
    reads = (TokenFeatures,)
    default_metrics = (Accuracy(),)

    hidden: tuple[int, ...] = attrs.field(default=(), validator=sizes)
    class_weights: Mapping[str, float] = attrs.field(factory=dict, validator=loss_weights)
    balanced: bool = False
    focal: float = attrs.field(default=0.0, validator=at_least_number(0))
    label_smoothing: float = attrs.field(default=0.0, validator=between(0, 1))

    def build(self, features: FeatureSpec, target: Target) -> "HeadModule":
        if not (self.hidden or self.class_weights or self.balanced or self.focal):
            return TokenClassifier(self, features.width, target.classes)
        return LayeredClassificationHead(self, features.width, target.classes)


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
