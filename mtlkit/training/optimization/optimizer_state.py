"""The state of an optimizer as tensors and JSON, without pickle."""

from collections.abc import Callable, Mapping
from typing import Any

import attrs
import torch
from torch import Tensor

from mtlkit.errors import RunError
from mtlkit.ops.row_shard import RowShard
from mtlkit.training.optimization.optimizer_calls import without_compiler
from mtlkit.training.sharding.whole_model import whole_tensor

_DTYPE = "dtype"
"""The key of a type of numbers in JSON."""

_TENSOR = "tensor"
"""The key of a tensor's name in JSON."""

_TUPLE = "tuple"
"""The key of a tuple's items in JSON."""

_KNOWN = ("state", "param_groups")
"""The parts of a state of every optimizer; some have more, such as that of random numbers."""


@attrs.frozen(eq=False)
class OptimizerState:
    """The tensors of a state by name, and all other values as JSON.

    A tensor of a parameter is named ``<parameter>.<name>``. The others, in groups or in lists, are
    referred to by the JSON values.
    """

    tensors: Mapping[str, Tensor]
    values: Mapping[str, Any]


def optimizer_state(optimizer: torch.optim.Optimizer) -> OptimizerState:
    """Return the state of `optimizer`; `RunError` if a value is neither a tensor nor JSON."""
    with without_compiler():
        state = optimizer.state_dict()
    owner = type(optimizer).__name__
    tensors: dict[str, Tensor] = {}
    values: dict[str, Any] = {}
    for parameter, entries in state["state"].items():
        for name, value in entries.items():
            key = f"{parameter}.{name}"
            if isinstance(value, Tensor):
                tensors[key] = value
            else:
                values[key] = _stored(value, f"{owner}.{name}", key, tensors)
    groups = [
        {k: _stored(v, f"{owner} group {k}", f"group.{n}.{k}", tensors) for k, v in group.items()}
        for n, group in enumerate(state["param_groups"])
    ]
    more = {
        name: _stored(value, f"{owner} {name}", name, tensors)
        for name, value in state.items()
        if name not in _KNOWN
    }
    return OptimizerState(tensors, {"state": values, "groups": groups, "more": more})


def whole_optimizer_state(
    optimizer: torch.optim.Optimizer, shards: Mapping[Tensor, RowShard]
) -> OptimizerState:
    """Return the state of `optimizer`, on the first process with whole tensors.

    `shards` are those of parameters.
    """
    state = optimizer_state(optimizer)
    owners = [p for group in optimizer.param_groups for p in group["params"]]
    tensors = {}
    for key, value in state.tensors.items():
        owner = owners[int(key.partition(".")[0])]
        shard = shards.get(owner)
        per_row = shard is not None and value.dim() > 0 and len(value) == len(owner)
        tensors[key] = whole_tensor(value, shard if per_row else None)
    return attrs.evolve(state, tensors=tensors)


def restore_optimizer(
    optimizer: torch.optim.Optimizer,
    saved: OptimizerState,
    part: Callable[[Tensor, Tensor], Tensor] = lambda value, parameter: value,
) -> None:
    """Load `saved` into a new `optimizer` of the same parameters.

    `part` returns this process's part of a value of a parameter.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    values = {key: _original(v, saved.tensors) for key, v in saved.values["state"].items()}
    state: dict[int, dict[str, Any]] = {}
    for key, value in {**saved.tensors, **values}.items():
        number, _, name = key.partition(".")
        if not number.isdecimal() or "/" in name:  # in a group or in a list
            continue
        parameter = parameters[int(number)]
        if isinstance(value, Tensor):
            value = part(value, parameter)
        if isinstance(value, Tensor) and value.shape == parameter.shape:
            # keep the parameter's memory format: another one slows every later update
            value = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
        state.setdefault(int(number), {})[name] = value
    groups = [
        {key: _original(value, saved.tensors) for key, value in group.items()}
        for group in saved.values["groups"]
    ]
    more = {k: _original(v, saved.tensors) for k, v in saved.values.get("more", {}).items()}
    with without_compiler():
        optimizer.load_state_dict({"state": state, "param_groups": groups, **more})


def _original(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Return the value that is stored as `value`."""
    if isinstance(value, list):
        return [_original(item, tensors) for item in value]
    if not isinstance(value, Mapping):
        return value
    if _TUPLE in value:
        return tuple(_original(item, tensors) for item in value[_TUPLE])
    return tensors[value[_TENSOR]] if _TENSOR in value else getattr(torch, value[_DTYPE])


def _stored(value: Any, name: str, key: str, tensors: dict[str, Tensor]) -> Any:
    """Return `value` as JSON; its tensors are added to `tensors` with names that begin with `key`.

    `name` is that of the value in an error.
    """
    if isinstance(value, Tensor):
        tensors[key] = value
        return {_TENSOR: key}
    if isinstance(value, list | tuple):
        items = [_stored(v, name, f"{key}/{n}", tensors) for n, v in enumerate(value)]
        return items if isinstance(value, list) else {_TUPLE: items}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, torch.dtype):
        return {_DTYPE: str(value).removeprefix("torch.")}
    raise RunError(
        f"{name}: got a value of type {type(value).__name__}, which a checkpoint cannot store; "
        f"keep the state of an optimizer in tensors, numbers, strings and lists of them"
    )
