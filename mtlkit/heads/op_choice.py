"""Choices of implementations in a recipe: their validators, and the check against the plugins.

A validator accepts the implementations that an op declares itself, and any name with a namespace.
Whether a plugin provides that name is checked by `choice_problems`, with the catalog at hand.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import torch

from mtlkit.component import Problem, Rule
from mtlkit.errors import MtlkitError, did_you_mean
from mtlkit.ops.dispatch.choice import AUTO, find_op
from mtlkit.ops.dispatch.implementation import Op, Request
from mtlkit.ops.dispatch.table import OpTable, builtin_ops


@attrs.frozen
class ImplementationRule(Rule):
    """A validator of the name of an implementation of `op`."""

    op: Op


@attrs.frozen
class OpChoicesRule(Rule):
    """A validator of names of implementations, by op."""


def implementation_for(op: Op) -> ImplementationRule:
    """Accept ``auto``, an implementation of `op` that heads can use, or a plugin's.

    >>> from mtlkit.heads.classification import Classification
    >>> Classification(implementation="chunkd")
    Traceback (most recent call last):
    ValueError: implementation: expected one of auto, eager, compiled, native, saved-softmax, \
chunked, triton-saved, triton, or a plugin's such as 'acme/fast', got 'chunkd'; \
did you mean 'chunked'?
    """

    def check(_: Any, field: "attrs.Attribute[Any]", value: Any) -> None:
        _check_choice(field.name, op, value)

    return ImplementationRule(check, _choice_schema(op), op)


def op_choices() -> OpChoicesRule:
    """Accept a mapping of ops to implementations that heads can use; either may be a plugin's.

    >>> from mtlkit.recipe import Train
    >>> Train(ops={"gate": "concatenate"})
    Traceback (most recent call last):
    ValueError: ops: gate: expected one of auto, eager, concatenated, or a plugin's such as \
'acme/fast', got 'concatenate'; did you mean 'concatenated'?
    """

    def check(_: Any, field: "attrs.Attribute[Any]", value: Any) -> None:
        for name, choice in value.items():
            if "/" in name:
                continue
            try:
                op = find_op(name)
            except MtlkitError as cause:
                raise ValueError(f"{field.name}: {cause}") from cause
            _check_choice(f"{field.name}: {name}", op, choice)

    ops = builtin_ops()
    named = {"anyOf": [{"enum": list(ops)}, {"pattern": "/"}]}
    choices = {name: _choice_schema(op) for name, op in ops.items()}
    return OpChoicesRule(check, {"properties": choices, "propertyNames": named})


def choice_problems(
    value: Any, table: OpTable, path: tuple[str, ...] = (), half: torch.dtype | None = None
) -> Iterator[Problem]:
    """Yield a problem for each choice in `value`, at any depth, that `table` cannot serve.

    `half` is the dtype of the network's inputs to ops, unless they are float32.
    """
    if attrs.has(type(value)):
        for field in attrs.fields(type(value)):
            item, rule = getattr(value, field.name), field.validator
            place = (*path, field.alias or field.name)
            if isinstance(rule, ImplementationRule):
                yield from _problem(rule.op, item, table, place, half)
            elif isinstance(rule, OpChoicesRule):
                for name, choice in item.items():
                    yield from _problem(name, choice, table, (*place, name), half)
            else:
                yield from choice_problems(item, table, place, half)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from choice_problems(item, table, (*path, str(key)), half)
    elif isinstance(value, tuple):
        for number, item in enumerate(value):
            yield from choice_problems(item, table, (*path, str(number)), half)


def _problem(
    op: Op | str, choice: str, table: OpTable, path: tuple[str, ...], half: torch.dtype | None
) -> Iterator[Problem]:
    try:
        op = table.ops.get(op) if isinstance(op, str) else op
        _check_choice("", op, choice)
        if choice == AUTO:
            return
        refuses = table.implementation(op, choice).refuses
    except (ValueError, MtlkitError) as cause:
        yield Problem(path, str(cause).removeprefix(": "))
        return
    usual = Request(rows=512, features=64, classes=16, reduction="none")
    if half is not None and not refuses(usual) and (why := refuses(usual._replace(dtype=half))):
        kind = str(half).removeprefix("torch.")
        message = f"got {choice!r}, which cannot compute in {kind}: {why}; use `auto`"
        yield Problem(path, f"{message}, or `train.precision: fp32`")


def _check_choice(place: str, op: Op, value: Any) -> None:
    """Raise `ValueError` unless `value` is ``auto``, one of the op's own names, or a plugin's."""
    names = op.names_for_heads()
    if value in (AUTO, *names) or (isinstance(value, str) and "/" in value):
        return
    near = did_you_mean(value, names) if isinstance(value, str) else ""
    raise ValueError(
        f"{place}: expected one of {AUTO}, {', '.join(names)}, or a plugin's such as "
        f"'acme/fast', got {value!r}{near}"
    )


def _choice_schema(op: Op) -> Mapping[str, Any]:
    return {"anyOf": [{"enum": [AUTO, *op.names_for_heads()]}, {"pattern": "/"}]}
