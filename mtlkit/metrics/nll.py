"""Negative log-likelihood."""

import math

import attrs
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, log_softmax

from mtlkit.metrics.base import Metric, MetricState
from mtlkit.metrics.elements import CLASSES
from mtlkit.metrics.mean import MeanState
from mtlkit.targets.base import Target
from mtlkit.targets.multi_label import MultiLabelTarget


@attrs.frozen(kw_only=True)
class NLL(Metric):
    """Mean of -log p(class), with the softmax of the logits, in nats.

    For a multi-label task p is the sigmoid of the logit of each label.
    """

    name = "nll"
    targets = (*CLASSES, MultiLabelTarget)
    higher_is_better = False
    unit = "nats"
    bounds = (0.0, math.inf)

    def build(self, target: Target) -> MetricState:
        multi_label = isinstance(target, MultiLabelTarget)
        return MeanState(target, binary_nll if multi_label else class_nll)


def class_nll(outputs: Tensor, labels: Tensor) -> Tensor:
    """Return -log softmax of the logits (..., C) at each label (...)."""
    index = labels.clamp_min(0).unsqueeze(-1)
    return -log_softmax(outputs.float(), dim=-1).gather(-1, index).squeeze(-1)


def binary_nll(outputs: Tensor, labels: Tensor) -> Tensor:
    """Return the binary cross-entropy of each logit."""
    return binary_cross_entropy_with_logits(
        outputs.float(), labels.clamp_min(0).float(), reduction="none"
    )
