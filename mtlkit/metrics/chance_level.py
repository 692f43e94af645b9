"""Value of a metric for a constant prediction."""

import torch
from torch import Tensor

from mtlkit.metrics.base import Metric
from mtlkit.targets.base import Target
from mtlkit.targets.codes import CodedTarget
from mtlkit.targets.multi_label import MultiLabelTarget


def chance_level(metric: Metric, labels: Tensor, target: Target) -> float | None:
    """Return the metric of the best constant prediction of `labels` (N, ...).

    It is the frequency of each class, or of each label of several, or the mean of the numbers by
    component.

    >>> from mtlkit.metrics import Accuracy
    >>> from mtlkit.data import ClassTarget
    >>> chance_level(Accuracy(), torch.tensor([0, 1, 1, 1, -1]), ClassTarget(names=("a", "b")))
    0.75
    """
    state = metric.build(target)
    state.update(_constant_outputs(labels, target), labels)
    return state.compute()


def _constant_outputs(labels: Tensor, target: Target) -> Tensor:
    """Return logits of the frequencies of classes, or means, in the shape of outputs."""
    if isinstance(target, CodedTarget) and not isinstance(target, MultiLabelTarget):
        counts = torch.bincount(labels[target.present(labels)], minlength=target.codes)
        logits = (counts / counts.sum()).log().clamp_min(-100)
        return logits.expand(*labels.shape, target.codes).movedim(-1, target.class_dim)
    present = target.present(labels)
    if present.dim() < labels.dim():  # all channels of a pixel are missing together
        present = present.unsqueeze(1).expand_as(labels)
    dims = [dim for dim in range(labels.dim()) if dim != 1]
    counts = present.sum(dim=dims, keepdim=True)
    means = (
        torch.where(present, labels, 0).sum(dim=dims, keepdim=True, dtype=torch.float64) / counts
    )
    if isinstance(target, MultiLabelTarget):
        means = means.logit().clamp(-100, 100)
    # large numbers that differ little, such as times, need float64
    dtype = labels.dtype if labels.is_floating_point() else torch.float32
    return means.to(dtype).expand(labels.shape)
