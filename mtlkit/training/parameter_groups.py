"""Optimizer parameter groups."""

from collections.abc import Sequence
from typing import Any

import torch
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
        _group(
            "weights", [p for p in network if p.dim() > 1], optimizer.lr, optimizer.weight_decay
        ),
        _group("biases and norms", [p for p in network if p.dim() <= 1], optimizer.lr, 0.0),
        _group("loss weights", learned, rate, 0.0),
    ]
    return [group for group in groups if group["params"]]


def _group(
    name: str, parameters: Sequence[nn.Parameter], lr: float, weight_decay: float
) -> dict[str, Any]:
    # optimizers keep unknown keys
    return {"name": name, "params": list(parameters), "lr": lr, "weight_decay": weight_decay}


def name_groups(optimizer: torch.optim.Optimizer) -> None:
    """Record in each group of `optimizer` its name, and the learning rate that schedules multiply.

    An optimizer may have changed the rates of its groups, or have added groups; both are kept.
    """
    for number, group in enumerate(optimizer.param_groups):
        group["base_lr"] = float(group["lr"])
        group.setdefault("name", f"group {number}")


def group_rates(optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """Return the learning rate of each group by name; empty if all are equal."""
    rates = {group["name"]: float(group["lr"]) for group in optimizer.param_groups}
    return rates if len(set(rates.values())) > 1 else {}


def without_gradient(step: TrainingStep) -> tuple[str, ...]:
    """Return the names of the trainable parameters that the last backward pass did not reach.

    Every loss reaches its parameters in every batch, if only with a gradient of zero. A parameter
    that one pass does not reach is therefore never trained.
    """
    return tuple(name for name, p in step.named_parameters() if p.requires_grad and p.grad is None)
