"""The state of an optimizer as tensors and JSON, without pickle."""

from collections.abc import Mapping
from typing import Any

import attrs
import torch
from torch import Tensor

from mtlkit.errors import RunError
from mtlkit.training.optimization.optimizer_calls import without_compiler

_DTYPE = "dtype"
"""The key of a type of numbers in JSON."""


@attrs.frozen(eq=False)
class OptimizerState:
    """The tensors of a state by ``<parameter>.<name>``, and all other values as JSON."""

    tensors: Mapping[str, Tensor]
    values: Mapping[str, Any]


def optimizer_state(optimizer: torch.optim.Optimizer) -> OptimizerState:
    """Return the state of `optimizer`; `RunError` if a value is neither a tensor nor JSON."""
    with without_compiler():
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
    return OptimizerState(tensors, {"state": values, "groups": groups})


def restore_optimizer(optimizer: torch.optim.Optimizer, saved: OptimizerState) -> None:
    """Load `saved` into a new `optimizer` of the same parameters."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Any]] = {}
    for key, value in {**saved.tensors, **saved.values["state"]}.items():
        number, _, name = key.partition(".")
        parameter = parameters[int(number)]
        if isinstance(value, Tensor) and value.shape == parameter.shape:
            # keep the parameter's memory format: another one slows every later update
            value = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
        state.setdefault(int(number), {})[name] = value
    groups = [{k: _original(v) for k, v in group.items()} for group in saved.values["groups"]]
    with without_compiler():
        optimizer.load_state_dict({"state": state, "param_groups": groups})


def _original(value: Any) -> Any:
    """Return the value that `_plain` turned into `value`."""
    if isinstance(value, Mapping):
        return getattr(torch, value[_DTYPE])
    return value


def _plain(value: Any, name: str) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(item, name) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, torch.dtype):
        return {_DTYPE: str(value).removeprefix("torch.")}
    raise RunError(
        f"{name}: got a value of type {type(value).__name__}, which a checkpoint cannot store; "
        f"keep the state of an optimizer in tensors, numbers, strings and lists of them"
    )
