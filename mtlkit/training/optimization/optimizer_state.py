"""The state of an optimizer as tensors and JSON, without pickle."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import attrs
import torch
from torch import Tensor

from mtlkit.errors import RunError
from mtlkit.ops.row_shard import RowShard
from mtlkit.training.optimization.numbered_state import named_values
from mtlkit.training.optimization.optimizer_calls import without_compiler
from mtlkit.training.sharding.held_rows import Held, held_rows

_DTYPE, _TENSOR, _TUPLE = "dtype", "tensor", "tuple"
"""The keys of a type of numbers, of a tensor's name and of a tuple's items in JSON."""

_KNOWN = ("state", "param_groups")
"""The parts of a state of every optimizer; some have more, such as that of random numbers."""

_KERNELS = ("foreach", "fused")
"""Options of a group that select how a step is computed, not what it computes."""

_NONE: Mapping[Tensor, Any] = MappingProxyType({})

SHOWN = 5
"""Number of changed parameters in an error."""


@attrs.frozen(eq=False)
class OptimizerState:
    """The tensors of a state by name, and all other values as JSON, which refers to the tensors.

    `values` are the ``state`` of each parameter by its name, the ``groups`` with the names of their
    ``params``, and ``more`` of the optimizer.
    """

    tensors: Mapping[str, Held]
    values: Mapping[str, Any]


def optimizer_state(
    optimizer: torch.optim.Optimizer,
    names: Mapping[Tensor, str] = _NONE,
    shards: Mapping[Tensor, RowShard] = _NONE,
) -> OptimizerState:
    """Return the state of `optimizer`; `RunError` if a value is neither a tensor nor JSON.

    `names` are those of parameters; one without a name has its number. `shards` are those
    of divided parameters, of whose state it returns the rows of this process.
    """
    with without_compiler():
        state = optimizer.state_dict()
    owner = type(optimizer).__name__
    parameters, labels = _parameters(optimizer), _labels(optimizer, names)
    tensors: dict[str, Held] = {}
    values: dict[str, Any] = {}
    for number, entries in state["state"].items():
        label, shard = labels[number], shards.get(parameters[number])
        values[label] = {}
        for name, value in entries.items():
            key = f"{label}.{name}"
            values[label][name] = _stored(value, f"{owner}.{name}", key, tensors)
            if isinstance(value, Tensor):
                per_row = value.dim() > 0 and shard is not None and len(value) == shard.size
                tensors[key] = held_rows(value, shard if per_row else None)
    groups = [
        {k: _stored(v, f"{owner} group {k}", f"group.{n}.{k}", tensors) for k, v in group.items()}
        | {"params": [labels[number] for number in group["params"]]}
        for n, group in enumerate(state["param_groups"])
    ]
    more = {
        name: _stored(value, f"{owner} {name}", name, tensors)
        for name, value in state.items()
        if name not in _KNOWN
    }
    return OptimizerState(tensors, {"state": values, "groups": groups, "more": more})


def restore_optimizer(
    optimizer: torch.optim.Optimizer,
    saved: OptimizerState,
    names: Mapping[Tensor, str] = _NONE,
    part: Callable[[Any, str, Tensor], Tensor] = lambda tensors, key, parameter: tensors[key],
) -> None:
    """Load `saved` into a new `optimizer` of the same parameters, in any order.

    `names` are those of parameters, and `part` returns this process's part of a tensor of
    a parameter. Raises `ValueError` for other parameters, or for other groups of them.
    """
    parameters, labels = _parameters(optimizer), _labels(optimizer, names)
    sizes = [len(group["params"]) for group in optimizer.param_groups]
    values = named_values(saved.tensors, saved.values, labels, sizes)
    origins = {label: group for group in values["groups"] for label in group["params"]}
    _require_groups(origins, optimizer, labels)
    state: dict[int, dict[str, Any]] = {}
    for number, (label, parameter) in enumerate(zip(labels, parameters, strict=True)):
        for name, stored in values["state"].get(label, {}).items():
            if isinstance(stored, Mapping) and _TENSOR in stored:
                value: Any = part(saved.tensors, stored[_TENSOR], parameter)
                # keep the parameter's memory format: another one slows every later update
                like = parameter if value.shape == parameter.shape else value
                value = torch.empty_like(like, dtype=value.dtype).copy_(value)
            else:
                value = _original(stored, saved.tensors)
            state.setdefault(number, {})[name] = value
    groups, first = [], 0
    for group, size in zip(optimizer.param_groups, sizes, strict=True):
        origin = origins[labels[first]] if size else {}
        options = {key: _original(value, saved.tensors) for key, value in origin.items()}
        # kernels depend on how parameters are divided now
        kernels = {key: group[key] for key in _KERNELS if key in group}
        numbers = list(range(first, first + size))
        groups.append({**group, **options, **kernels, "params": numbers})
        first += size
    more = {k: _original(v, saved.tensors) for k, v in values.get("more", {}).items()}
    with without_compiler():
        optimizer.load_state_dict({"state": state, "param_groups": groups, **more})


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"]]


def _labels(optimizer: torch.optim.Optimizer, names: Mapping[Tensor, str]) -> list[str]:
    """Return the name of each parameter, or its number."""
    return [names.get(p, str(n)) for n, p in enumerate(_parameters(optimizer))]


def _require_groups(
    origins: Mapping[str, Mapping[str, Any]], optimizer: torch.optim.Optimizer, labels: list[str]
) -> None:
    """Raise `ValueError` if parameters were added or removed, or if one moved to another group."""
    groups = [group.get("name") for group in optimizer.param_groups for _ in group["params"]]
    changes = [f"{name} is new" for name in labels if name not in origins]
    changes += [f"{name} is gone" for name in sorted(set(origins).difference(labels))]
    for name, now in zip(labels, groups, strict=True):
        then = origins.get(name, {}).get("name", now)
        if then != now:
            changes.append(f"{name} is in the group {now!r} and was in {then!r}")
    if changes:
        more = f" and {len(changes) - SHOWN} more" if len(changes) > SHOWN else ""
        raise ValueError(
            f"got other parameters than the optimizer's state: {'; '.join(changes[:SHOWN])}{more}"
        )


def _original(value: Any, tensors: Mapping[str, Any]) -> Any:
    """Return the value that is stored as `value`."""
    if isinstance(value, list):
        return [_original(item, tensors) for item in value]
    if not isinstance(value, Mapping):
        return value
    if _TUPLE in value:
        return tuple(_original(item, tensors) for item in value[_TUPLE])
    return tensors[value[_TENSOR]] if _TENSOR in value else getattr(torch, value[_DTYPE])


def _stored(value: Any, name: str, key: str, tensors: dict[str, Held]) -> Any:
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
