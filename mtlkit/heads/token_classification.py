"""A class for each token of a sequence."""

import attrs

from mtlkit.features.base import FeatureSpec
from mtlkit.features.tokens import TokenFeatures
from mtlkit.heads.base import HeadModule
from mtlkit.heads.class_loss import ClassHead
from mtlkit.heads.classification import LayeredClassificationHead
from mtlkit.heads.linear import LinearClassifier
from mtlkit.metrics.accuracy import Accuracy
from mtlkit.targets.base import Target
from mtlkit.targets.tokens import TokenTarget


@attrs.frozen(kw_only=True)
class TokenClassification(ClassHead):
    """Classifier of each token, trained with the cross-entropy of the labeled tokens.

    `hidden` are the widths of hidden layers. `class_weights`, `balanced`, `focal` and
    `label_smoothing` are those of `classification`.
    """

    targets = (TokenTarget,)
    reads = (TokenFeatures,)
    default_metrics = (Accuracy(),)

    def build(self, features: FeatureSpec, target: Target) -> "HeadModule":
        if self.is_linear:
            classes, smoothing = len(target.classes), self.label_smoothing
            return TokenClassifier(features.width, classes, label_smoothing=smoothing)
        return LayeredClassificationHead(self, features.width, target.classes)


class TokenClassifier(LinearClassifier):
    """Logits (N, L, C) and the mean cross-entropy of the labeled tokens of each sequence.

    >>> import torch
    >>> head = TokenClassifier(8, 2)
    >>> head.loss(torch.zeros(1, 3, 8), torch.tensor([[0, 1, -1]])).tolist()  # ln 2
    [0.6931471824645996]
    """
