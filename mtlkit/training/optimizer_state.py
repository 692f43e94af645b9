"""An optimiser's state as tensors and JSON, so that no pickle is needed."""

from collections.abc import Mapping
from typing import Any

import attrs
import torch
from torch import Tensor

from mtlkit.errors import RunError


@attrs.frozen(eq=False)
class OptimizerState:
    """The tensors of a state by ``<parameter>.<name>``, and everything else as JSON."""

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]


def optimizer_state(optimizer: torch.optim.Optimizer) -> OptimizerState:
    """The state of `optimizer`; `RunError` where it holds what neither tensors nor JSON can."""
    state = optimizer.state_dict()
    tensors: dict[str, Tensor] = {}
    values: dict[str, Any] = {}
    for parameter, entries in state["state"].items():
        for name, value in entries.items():
            key = f"{parameter}.{name}"
            if isinstance(value, Tensor):
                tensors[key] = value
            else:
                values[key] = _plain(value, f"{type(optimizer).__name__}.{name}")
    groups = [
        {k: _plain(v, f"{type(optimizer).__name__} group {k}") for k, v in group.items()}
        for group in state["param_groups"]
    ]
    return OptimizerState(tensors, {"values": values, "groups": groups})


def restore_optimizer(optimizer: torch.optim.Optimizer, saved: OptimizerState) -> None:
    """Put `saved` into a fresh `optimizer` of the same parameters."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Any]] = {}
    for key, value in {**saved.tensors, **saved.facts["values"]}.items():
        number, _, name = key.partition(".")
        parameter = parameters[int(number)]
        if isinstance(value, Tensor) and value.shape == parameter.shape:
            # in the parameter's memory format, or else every later update is slower
            value = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
        state.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": saved.facts["groups"]})


def _plain(value: Any, name: str) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(item, name) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise RunError(
        f"{name}: a value of type {type(value).__name__} cannot be put in a checkpoint; "
        f"an optimiser's state must be tensors, numbers, texts and lists of them"
    )
