"""A linear classifier with cross-entropy."""

from typing import ClassVar

import attrs
from torch import Tensor, nn

from mtlkit.component import at_least, between, optional
from mtlkit.errors import AssemblyError
from mtlkit.features.base import FeatureSpec
from mtlkit.heads.base import Head, HeadModule
from mtlkit.heads.cross_entropy import LinearCrossEntropy
from mtlkit.heads.linear import LinearHead
from mtlkit.heads.op_choice import implementation_for
from mtlkit.metrics.accuracy import Accuracy
from mtlkit.metrics.base import Metric
from mtlkit.ops.dispatch.choice import AUTO, left_open
from mtlkit.ops.linear import LINEAR_CROSS_ENTROPY
from mtlkit.targets.base import Target
from mtlkit.targets.class_label import ClassTarget


@attrs.frozen(kw_only=True)
class Classification(Head):
    """Linear classifier trained with the cross-entropy.

    `classes`, if given, must equal the number of classes in the data. `implementation` selects the
    implementation of the loss by its name in `mtlkit ops list`.
    """

    targets: ClassVar[tuple[type[Target], ...]] = (ClassTarget,)
    default_metrics: ClassVar[tuple[Metric, ...]] = (Accuracy(),)

    classes: int | None = attrs.field(default=None, validator=optional(at_least(1)))
    label_smoothing: float = attrs.field(default=0.0, validator=between(0, 1))
    implementation: str = attrs.field(
        default=AUTO, validator=implementation_for(LINEAR_CROSS_ENTROPY)
    )

    def build(self, features: FeatureSpec, target: Target) -> "HeadModule":
        return ClassificationHead(self, features.width, target.classes)


class ClassificationHead(LinearHead):
    """Logits y = W x + b and the loss -log softmax(y)[target] (Yin & Liu, TIP 2018, eq. 2-4).

    Weights are initialized from N(0, 0.01) and biases to 0, as in the authors' released nets.

    >>> import torch
    >>> head = ClassificationHead(Classification(), 8, ("left", "right"))
    >>> head.loss(torch.zeros(2, 8), torch.tensor([1, -1])).tolist()  # ln 2; 0 for a missing target
    [0.6931471824645996, 0.0]
    """

    def __init__(self, config: Classification, features: int, classes: tuple[str, ...]) -> None:
        super().__init__()
        check_classes(config.classes, classes)
        self.linear = nn.Linear(features, len(classes))
        nn.init.normal_(self.linear.weight, std=0.01)
        nn.init.zeros_(self.linear.bias)
        self.label_smoothing = config.label_smoothing
        self.implementation = left_open(config.implementation)

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.linear(features)
        return logits

    def cross_entropy(self) -> LinearCrossEntropy:
        return LinearCrossEntropy(
            weight=self.linear.weight,
            bias=self.linear.bias,
            label_smoothing=self.label_smoothing,
            implementation=self.implementation,
        )


def check_classes(stated: int | None, classes: tuple[str, ...]) -> None:
    """Raise `AssemblyError` if a head states a number of classes that differs from the data's."""
    if stated is not None and stated != len(classes):
        raise AssemblyError(
            f"the head states {stated} classes, the training data has {len(classes)}; "
            f"remove `classes` to use the data's"
        )
