"""The head `cosine`: its options. The network and the loss are in `cosine_head`."""

from typing import TYPE_CHECKING, ClassVar

import attrs

from mtlkit import TaskKind
from mtlkit.heads import Head
from mtlkit.metrics import Accuracy, Metric
from mtlkit.plugins import above

if TYPE_CHECKING:
    from mtlkit.heads import HeadModule


@attrs.frozen(kw_only=True)
class Cosine(Head):
    """Classes by the cosine of the angle between the features and a direction of each class.

    `scale` is what the cosines are multiplied by before the softmax.
    """

    kind: ClassVar[TaskKind] = (
        TaskKind.CLASSIFICATION
    )  # what the task predicts, known before any data
    default_metrics: ClassVar[tuple[Metric, ...]] = (Accuracy(),)  # of tasks that list none

    scale: float = attrs.field(default=16.0, validator=above(0))

    def build(self, features: int, classes: tuple[str, ...]) -> "HeadModule":
        from mtlkit_hello.cosine_head import CosineHead

        return CosineHead(self, features, len(classes))
