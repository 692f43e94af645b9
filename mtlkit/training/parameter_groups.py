"""Which parameters are updated how."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from mtlkit.optim.base import Optimizer
from mtlkit.training.gradients.step import TrainingStep


def parameter_groups(
    step: TrainingStep, optimizer: Optimizer, weighting_rate: float | None = None
) -> list[dict[str, Any]]:
    """The optimiser's groups: network weights, network biases and norms, learned loss weights.

    Only weights of two dimensions or more decay: to shrink a bias or the scale of a norm towards 0
    changes the function and regularises nothing (He et al., CVPR 2019, section 3.1). Learned loss
    weights never decay, for a decay would pull them to a choice of weights of its own.
    `weighting_rate` is their learning rate; None means the optimiser's.
    """
    own = [p for p in step.model.parameters() if p.requires_grad]
    learned = [p for p in step.weighting.parameters() if p.requires_grad]
    rate = optimizer.lr if weighting_rate is None else weighting_rate
    groups: list[dict[str, Any]] = [
        _group([p for p in own if p.dim() > 1], optimizer.lr, optimizer.weight_decay),
        _group([p for p in own if p.dim() <= 1], optimizer.lr, 0.0),
        _group(learned, rate, 0.0),
    ]
    return [group for group in groups if group["params"]]


def _group(parameters: Sequence[nn.Parameter], lr: float, weight_decay: float) -> dict[str, Any]:
    # `base_lr` is what a schedule multiplies; optimisers carry keys they do not know along
    return {"params": list(parameters), "lr": lr, "base_lr": lr, "weight_decay": weight_decay}


def without_gradient(step: TrainingStep) -> tuple[str, ...]:
    """The trainable parameters that the last backward pass did not reach, by name.

    Every loss reaches its parameters in every batch, if with a gradient of zero; so a parameter
    that one pass leaves out is never trained.
    """
    return tuple(name for name, p in step.named_parameters() if p.requires_grad and p.grad is None)
