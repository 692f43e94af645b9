"""The family of heads, and the options of the built-in ones."""

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

import attrs

from mtlkit.component import Component, above, at_least, between, optional
from mtlkit.ops.configs import implementation_for
from mtlkit.ops.dispatch.names import AUTO, OF_MARGINS, PER_SAMPLE
from mtlkit.task_types import TaskKind

if TYPE_CHECKING:
    from mtlkit.heads.base import HeadModule


@attrs.frozen(kw_only=True)
class Head(Component):
    """What turns shared features into the prediction and the loss of one task."""

    kind: ClassVar[TaskKind]

    @abstractmethod
    def build(self, features: int, classes: tuple[str, ...]) -> "HeadModule":
        """The module for features (N, `features`); `classes` is empty for a regression."""


@attrs.frozen(kw_only=True)
class Classification(Head):
    """One of several classes: a linear map to logits, and the cross-entropy.

    `classes` may state the number of classes; it then must agree with the data. `implementation`
    is how the loss is computed, by its name in `mtlkit ops list`.
    """

    kind: ClassVar[TaskKind] = TaskKind.CLASSIFICATION

    classes: int | None = attrs.field(default=None, validator=optional(at_least(1)))
    label_smoothing: float = attrs.field(default=0.0, validator=between(0, 1))
    implementation: str = attrs.field(
        default=AUTO, validator=implementation_for("linear_cross_entropy", *PER_SAMPLE)
    )

    def build(self, features: int, classes: tuple[str, ...]) -> "HeadModule":
        from mtlkit.heads.classification import ClassificationHead

        return ClassificationHead(self, features, classes)


@attrs.frozen(kw_only=True)
class Margin(Head):
    """One of several classes by the angle to a direction of each, trained with a margin.

    Logits are `scale` times the cosines of features and directions. In training the target's, cos
    t, becomes cos(`multiplier` t + `angle`) - `additive`: ArcFace (Deng et al., CVPR 2019) is an
    angle of 0.5, the default, and CosFace (Wang et al., CVPR 2018) ``angle: 0`` with ``additive:
    0.35``. With `adaptive`, AdaFace (Kim et al., CVPR 2022), both come from `angle` and the length
    of the features, which tells how good an image is. With `easy_margin` a target more than a right
    angle away has none. With a `sample` below 1 every micro-batch is trained against that share of
    the classes only, but no fewer than it has samples: those of its samples, and others drawn at
    random (Partial FC, An et al., CVPR 2022). `classes` may state the number of classes.
    `implementation` is how the loss is computed, by its name in `mtlkit ops list`.
    """

    kind: ClassVar[TaskKind] = TaskKind.CLASSIFICATION

    classes: int | None = attrs.field(default=None, validator=optional(at_least(1)))
    scale: float = attrs.field(default=64.0, validator=above(0))
    angle: float = attrs.field(default=0.5, validator=between(0, 1.5))
    additive: float = attrs.field(default=0.0, validator=between(0, 1))
    multiplier: float = attrs.field(default=1.0, validator=between(1, 4))
    adaptive: bool = False
    easy_margin: bool = False
    sample: float = attrs.field(default=1.0, validator=between(0, 1))
    implementation: str = attrs.field(
        default=AUTO, validator=implementation_for("margin_cross_entropy", *OF_MARGINS)
    )

    def __attrs_post_init__(self) -> None:
        if self.adaptive and (self.additive != 0 or self.multiplier != 1):
            raise ValueError(
                f"adaptive: expected no other margin than `angle` beside it, found additive "
                f"{self.additive} and multiplier {self.multiplier}"
            )

    def build(self, features: int, classes: tuple[str, ...]) -> "HeadModule":
        from mtlkit.heads.margin import MarginHead

        return MarginHead(self, features, classes)


@attrs.frozen(kw_only=True)
class Regression(Head):
    """A number: a linear map of the features, and half the squared error.

    The half makes the loss the negative log-likelihood of a unit Gaussian, up to a constant.
    Targets are standardised by the training split, so that no unit outweighs another; predictions
    come back in the target's own unit.
    """

    kind: ClassVar[TaskKind] = TaskKind.REGRESSION

    def build(self, features: int, classes: tuple[str, ...]) -> "HeadModule":
        from mtlkit.heads.regression import RegressionHead

        return RegressionHead(features)
