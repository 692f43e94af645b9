"""Value of a metric for a constant prediction."""

import torch
from torch import Tensor

from mtlkit.metrics.base import Metric, is_present
from mtlkit.targets.base import Target


def chance_level(metric: Metric, labels: Tensor, target: Target) -> float | None:
    """Return the metric of predicting the most common class, or the mean, of `labels` (N,).

    >>> from mtlkit.metrics import Accuracy
    >>> from mtlkit.data import ClassTarget
    >>> chance_level(Accuracy(), torch.tensor([0, 1, 1, 1, -1]), ClassTarget(names=("a", "b")))
    0.75
    """
    state = metric.build(target)
    state.update(_constant_outputs(labels, len(target.classes)), labels)
    return state.compute()


def _constant_outputs(target: Tensor, classes: int) -> Tensor:
    """Return logits (N, C) of the most common class, or the mean (N,) for a regression."""
    present = target[is_present(target)]
    if not classes:
        return present.double().mean().float().expand(len(target))
    mode = torch.bincount(present, minlength=classes).argmax()
    return torch.nn.functional.one_hot(mode, classes).float().expand(len(target), classes)
