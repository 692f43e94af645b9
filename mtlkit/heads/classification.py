"""A classifier with cross-entropy, linear unless it has hidden layers.

Paper: Tsung-Yi Lin, Priya Goyal, Ross Girshick, Kaiming He and Piotr Dollár, "Focal Loss for Dense
Object Detection", ICCV 2017 (the option `focal`).
"""

import attrs
from torch import Tensor

from mtlkit.component import at_least, optional
from mtlkit.errors import AssemblyError
from mtlkit.features.base import FeatureSpec
from mtlkit.heads.base import HeadModule
from mtlkit.heads.class_loss import ClassHead, ClassLoss
from mtlkit.heads.layers import output_layers
from mtlkit.heads.linear import LinearClassifier
from mtlkit.heads.op_choice import implementation_for
from mtlkit.metrics.accuracy import Accuracy
from mtlkit.ops.dispatch.choice import AUTO, left_open
from mtlkit.ops.linear import LINEAR_CROSS_ENTROPY
from mtlkit.targets.base import Target
from mtlkit.targets.class_label import ClassTarget
from mtlkit.targets.rows import Rows


@attrs.frozen(kw_only=True)
class Classification(ClassHead):
    """Classifier trained with the cross-entropy, linear unless it has hidden layers.

    `hidden` are the widths of hidden layers. The loss of a sample is multiplied by the weight of
    its class, by name in `class_weights`; `balanced` weights are inversely proportional to the
    numbers of training samples, with mean 1. `focal` is the exponent gamma of the focal loss
    (1 - p)^gamma CE (Lin et al., ICCV 2017), 0 for the plain cross-entropy.

    `classes`, if given, must equal the number of classes in the data. `implementation` selects the
    implementation of the loss by its name in `mtlkit ops list`, for a head without these options.
    """

    targets = (ClassTarget,)
    default_metrics = (Accuracy(),)

    classes: int | None = attrs.field(default=None, validator=optional(at_least(1)))
    implementation: str = attrs.field(
        default=AUTO, validator=implementation_for(LINEAR_CROSS_ENTROPY)
    )

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if self.implementation != AUTO and not self.is_linear:
            raise ValueError(
                f"implementation: {self.implementation!r} computes the plain cross-entropy of a "
                f"linear classifier; leave out `hidden`, `class_weights`, `balanced` and `focal`"
            )

    def build(self, features: FeatureSpec, target: Target) -> "HeadModule":
        if self.is_linear:
            return ClassificationHead(self, features.width, target.classes)
        check_classes(self.classes, target.classes)
        return LayeredClassificationHead(self, features.width, target.classes)


class ClassificationHead(LinearClassifier):
    """Logits y = W x + b and the loss -log softmax(y)[target] (Yin & Liu, TIP 2018, eq. 2-4).

    >>> import torch
    >>> head = ClassificationHead(Classification(), 8, ("left", "right"))
    >>> head.loss(torch.zeros(2, 8), torch.tensor([1, -1])).tolist()  # ln 2; 0 for a missing target
    [0.6931471824645996, 0.0]
    """

    def __init__(self, config: Classification, features: int, classes: tuple[str, ...]) -> None:
        check_classes(config.classes, classes)
        super().__init__(
            features,
            len(classes),
            label_smoothing=config.label_smoothing,
            implementation=left_open(config.implementation),
        )


class LayeredClassificationHead(HeadModule):
    """Logits of hidden layers, and a cross-entropy with weights of classes and focus.

    Shapes: features (N, D), or (N, L, D) of tokens; logits (N, C) or (N, L, C).

    >>> import torch
    >>> config = Classification(hidden=(4,), class_weights={"left": 2.0})
    >>> head = LayeredClassificationHead(config, 8, ("left", "right"))
    >>> head(torch.zeros(3, 8)).shape
    torch.Size([3, 2])
    """

    def __init__(self, config: ClassHead, features: int, classes: tuple[str, ...]) -> None:
        super().__init__()
        self.layers = output_layers(features, config.hidden, len(classes))
        self.objective = ClassLoss.of(config, classes)

    def fit_targets(self, labels: Rows) -> None:
        self.objective.fit(labels)

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.layers(features)
        return logits

    def loss(self, features: Tensor, target: Tensor) -> Tensor:
        losses: Tensor = self.objective(self(features).movedim(-1, 1), target)
        return losses


def check_classes(stated: int | None, classes: tuple[str, ...]) -> None:
    """Raise `AssemblyError` if a head states a number of classes that differs from the data's."""
    if stated is not None and stated != len(classes):
        raise AssemblyError(
            f"the head states {stated} classes, the training data has {len(classes)}; "
            f"remove `classes` to use the data's"
        )
