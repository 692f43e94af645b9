"""Optimizer parameter groups."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from mtlkit.optim.base import Optimizer
from mtlkit.training.gradients.step import TrainingStep


def parameter_groups(
    step: TrainingStep, optimizer: Optimizer, weighting_rate: float | None = None
) -> list[dict[str, Any]]:
    """Return the groups: network weights, network biases and norms, learned loss weights.

    Only weights with two or more dimensions decay. Decaying a bias or the scale of a norm changes
    the function without regularizing it (He et al., CVPR 2019, section 3.1). Learned loss weights
    never decay, since decay would bias them. `weighting_rate` is their learning rate; None means
    that of the optimizer.
    """
    network = [p for p in step.model.parameters() if p.requires_grad]
    learned = [p for p in step.weighting.parameters() if p.requires_grad]
    rate = optimizer.lr if weighting_rate is None else weighting_rate
    groups: list[dict[str, Any]] = [
        _group([p for p in network if p.dim() > 1], optimizer.lr, optimizer.weight_decay),
        _group([p for p in network if p.dim() <= 1], optimizer.lr, 0.0),
        _group(learned, rate, 0.0),
    ]
    return [group for group in groups if group["params"]]


def _group(parameters: Sequence[nn.Parameter], lr: float, weight_decay: float) -> dict[str, Any]:
    # a schedule multiplies `base_lr`; optimizers keep unknown keys
    return {"params": list(parameters), "lr": lr, "base_lr": lr, "weight_decay": weight_decay}


def without_gradient(step: TrainingStep) -> tuple[str, ...]:
    """Return the names of the trainable parameters that the last backward pass did not reach.

    Every loss reaches its parameters in every batch, if only with a gradient of zero. A parameter
    that one pass does not reach is therefore never trained.
    """
    return tuple(name for name, p in step.named_parameters() if p.requires_grad and p.grad is None)
