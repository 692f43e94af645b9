"""Optimizer parameter groups."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from mtlkit.callbacks.parameter_selection import select_parameters
from mtlkit.errors import AssemblyError
from mtlkit.model import MultiTaskModel
from mtlkit.optim.base import Optimizer, PartRates
from mtlkit.training.gradients.step import TrainingStep
from mtlkit.training.optimization.backbone_layers import layer_exponents
from mtlkit.training.sharding.whole_model import is_fsdp_shard


def parameter_groups(
    step: TrainingStep, optimizer: Optimizer, weighting_rate: float | None = None
) -> list[dict[str, Any]]:
    """Return the groups: network weights, network biases and norms, learned loss weights.

    Only weights with two or more dimensions decay. Decaying a bias or the scale of a norm changes
    the function without regularizing it (He et al., CVPR 2019, section 3.1). Learned loss weights
    never decay, since decay would bias them. `weighting_rate` is their learning rate; None means
    that of the optimizer. Parts with other rates, and layers with a layer-wise decay, have
    separate groups. Raises `AssemblyError` if a part selects or changes nothing.
    """
    learned = [p for p in step.weighting.parameters() if p.requires_grad]
    rate = optimizer.lr if weighting_rate is None else weighting_rate
    groups = [*_network_groups(step.model, optimizer), _group("loss weights", learned, rate, 0.0)]
    return [group for group in groups if group["params"]]


def _network_groups(model: MultiTaskModel, optimizer: Optimizer) -> Iterator[dict[str, Any]]:
    """Yield a group for each part, layer and kind of parameter, weights first."""
    parts = _parts(model, optimizer)
    layers = layer_exponents(model) if optimizer.layer_decay is not None else {}
    members: dict[tuple[bool, str, int, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            # kernels of torch take no mixture of divided and plain ones, fused ones none at all
            divided = is_fsdp_shard(parameter)
            key = (parameter.dim() <= 1, parts.get(name, ""), layers.get(name, 0), divided)
            members.setdefault(key, []).append(parameter)
    plain = PartRates()
    for key, parameters in sorted(members.items(), key=lambda item: item[0][0]):
        bias, part, exponent, divided = key
        rates = optimizer.parts.get(part, plain)
        lr = rates.lr or optimizer.lr
        if optimizer.layer_decay is not None:
            lr *= optimizer.layer_decay**exponent
        decay = optimizer.weight_decay if rates.weight_decay is None else rates.weight_decay
        kind = "biases and norms" if bias else "weights"
        depth = f"{exponent} below the heads" if exponent else ""
        name = " ".join(filter(None, [part, depth, kind]))
        group = _group(name, parameters, lr, 0.0 if bias else decay)
        yield {**group, "fused": False} if divided else group


def _parts(model: MultiTaskModel, optimizer: Optimizer) -> dict[str, str]:
    """Return the last of the optimizer's parts that selects a parameter, by its name.

    Raises `AssemblyError` for a part that changes nothing.
    """
    parts: dict[str, str] = {}
    for pattern, rates in optimizer.parts.items():
        selected = select_parameters(model, [pattern], "optimizer.parts")
        if rates.weight_decay and all(p.dim() <= 1 for p in selected.values()):
            raise AssemblyError(
                f"optimizer.parts.{pattern}.weight_decay: got {rates.weight_decay}, but "
                f"{pattern!r} selects only biases and norms, which never decay; remove it"
            )
        parts |= dict.fromkeys(selected, pattern)
    for pattern in optimizer.parts:
        if pattern not in parts.values():
            raise AssemblyError(
                f"optimizer.parts.{pattern}: has no effect, because later parts select the same "
                f"parameters, and the last match counts; list it after them"
            )
    return parts


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


def left_out(
    optimizer: torch.optim.Optimizer, groups: Sequence[Mapping[str, Any]]
) -> list[nn.Parameter]:
    """Return the parameters of `groups` that `optimizer` does not update.

    >>> groups = [{"params": [nn.Parameter(torch.ones(size))]} for size in (1, 2)]
    >>> [len(p) for p in left_out(torch.optim.SGD(groups[:1]), groups)]
    [2]
    """
    updated = {p for group in optimizer.param_groups for p in group["params"]}
    return [p for group in groups for p in group["params"] if p not in updated]


def group_rates(optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """Return the learning rate of each group by name; empty if all are equal.

    A name of groups with different rates, such as those of a divided group, is numbered from 2 on.
    """
    rates: dict[str, float] = {}
    base: dict[str, float] = {}
    for group in optimizer.param_groups:
        labels = itertools.chain(
            [group["name"]], (f"{group['name']} {n}" for n in itertools.count(2))
        )
        label = next(
            name for name in labels if base.get(name, group["base_lr"]) == group["base_lr"]
        )
        base[label], rates[label] = group["base_lr"], float(group["lr"])
    return rates if len(set(rates.values())) > 1 else {}
