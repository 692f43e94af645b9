"""Several binary labels for each sample, trained with the binary cross-entropy.

Paper: Tsung-Yi Lin, Priya Goyal, Ross Girshick, Kaiming He and Piotr Dollár, "Focal Loss for Dense
Object Detection", ICCV 2017 (the option `focal`).
"""

from collections.abc import Mapping

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtlkit.component import at_least_number
from mtlkit.errors import AssemblyError, DataError
from mtlkit.features.base import FeatureSpec
from mtlkit.heads.base import Head, HeadModule
from mtlkit.heads.class_loss import loss_weights
from mtlkit.heads.elements import sample_means
from mtlkit.heads.layers import output_layers, sizes
from mtlkit.metrics.auroc import AUROC
from mtlkit.metrics.f1 import F1
from mtlkit.targets.base import Target
from mtlkit.targets.multi_label import MultiLabelTarget
from mtlkit.targets.rows import Rows, chunks
from mtlkit.task_types import MISSING


@attrs.frozen(kw_only=True)
class MultiLabel(Head):
    """Binary classifiers of several labels, trained with the binary cross-entropy.

    `positive_weights` multiply the losses of true labels, by the name of the label. With `balanced`
    the weight of each label is the number of false training labels for each true one. `focal` is
    the exponent gamma of the focal loss (1 - p)^gamma CE (Lin et al., ICCV 2017), 0 for the plain
    cross-entropy. `hidden` are the widths of hidden layers.
    """

    targets = (MultiLabelTarget,)
    default_metrics = (AUROC(), F1())

    positive_weights: Mapping[str, float] = attrs.field(factory=dict, validator=loss_weights)
    balanced: bool = False
    focal: float = attrs.field(default=0.0, validator=at_least_number(0))
    hidden: tuple[int, ...] = attrs.field(default=(), validator=sizes)

    def __attrs_post_init__(self) -> None:
        if self.balanced and self.positive_weights:
            raise ValueError("balanced: expected one of `balanced` and `positive_weights`")

    def build(self, features: FeatureSpec, target: Target) -> "HeadModule":
        assert isinstance(target, MultiLabelTarget)
        unknown = [name for name in self.positive_weights if name not in target.names]
        if unknown:
            raise AssemblyError(
                f"positive_weights: no label {unknown[0]!r}; the labels are "
                f"{', '.join(target.names)}"
            )
        return MultiLabelHead(self, features.width, target.names)


class MultiLabelHead(HeadModule):
    """A logit of each label (N, K) and the mean cross-entropy over the present labels.

    With p the probability of the label's value, the loss of a label is -w (1 - p)^gamma log p, with
    the positive weight w for true labels and 1 for false ones.

    >>> head = MultiLabelHead(MultiLabel(), 8, ("young", "smiling"))
    >>> head.loss(torch.zeros(2, 8), torch.tensor([[1, -1], [-1, -1]])).tolist()  # ln 2; none
    [0.6931471824645996, 0.0]
    """

    def __init__(self, config: MultiLabel, features: int, names: tuple[str, ...]) -> None:
        super().__init__()
        self.layers = output_layers(features, config.hidden, len(names))
        self.names, self.focal, self.balanced = names, config.focal, config.balanced
        weights = [config.positive_weights.get(name, 1.0) for name in names]
        self.positive = nn.Buffer(torch.tensor(weights))

    def fit_targets(self, labels: Rows) -> None:
        if not self.balanced:
            return
        counts = torch.zeros(2, len(self.names), dtype=torch.int64)
        for part in chunks(labels):
            counts += torch.stack([(part == code).sum(dim=0) for code in (0, 1)])
        for name, false, true in zip(self.names, *counts.tolist(), strict=True):
            if not false or not true:
                raise DataError(
                    f"balanced: got {true} true and {false} false training labels of {name!r}, "
                    f"expected some of both; remove the label, or use `positive_weights`"
                )
        self.positive.copy_(counts[0] / counts[1])

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.layers(features)
        return logits

    def loss(self, features: Tensor, target: Tensor) -> Tensor:
        logits, present = self(features).float(), target != MISSING
        truth = torch.where(present, target, 0).float()
        losses = F.binary_cross_entropy_with_logits(
            logits, truth, pos_weight=self.positive, reduction="none"
        )
        if self.focal > 0:
            # log(1 - p), with p the probability of the value of the label
            log_complement = F.logsigmoid(torch.where(truth > 0, -logits, logits))
            losses = losses * (self.focal * log_complement).exp()
        return sample_means(torch.where(present, losses, 0.0), present)
