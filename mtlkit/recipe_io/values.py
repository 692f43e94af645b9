"""Strict rules for plain values, without conversions between types.

The exception is a whole number for an option that is a number. Each rule takes a node and the
expected type, and returns the Python value or raises `RefusedError`.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import attrs
import cattrs
from yaml import MappingNode, Node, ScalarNode, SequenceNode

from mtlkit.component import Component
from mtlkit.errors import did_you_mean
from mtlkit.recipe_io.error_text import describe, expected, is_union
from mtlkit.recipe_io.source_location import Mistake, RefusedError, refuse
from mtlkit.recipe_io.yaml_nodes import Plain, entries, is_text, location


def register_values(converter: cattrs.Converter) -> None:
    """Register the rules of this module with `converter`."""
    for kind in (int, float, bool, str, type(None)):
        converter.register_structure_hook(kind, _scalar)
    converter.register_structure_hook(Path, _path)
    converter.register_structure_hook_func(_has_choices, _choice)

    def register(test: Callable[[Any], bool], rule: Callable[..., Any]) -> None:
        converter.register_structure_hook_func(test, lambda node, kind: rule(converter, node, kind))

    register(is_union, _union)
    register(lambda kind: get_origin(kind) is tuple, _tuple)
    register(_is_mapping, _mapping)


def _has_choices(kind: Any) -> bool:
    return get_origin(kind) is Literal or (isinstance(kind, type) and issubclass(kind, Enum))


def _is_mapping(kind: Any) -> bool:
    origin = get_origin(kind)
    return isinstance(origin, type) and issubclass(origin, Mapping) and get_args(kind)[0] is str


def _wrong(node: Node, kind: Any, suggestion: str = "") -> RefusedError:
    return refuse(location(node), f"expected {expected(kind)}, got {describe(node)}{suggestion}")


def _scalar(node: Node, kind: type) -> Plain:
    if isinstance(node, ScalarNode):
        value: Plain = node.value
        if type(value) is kind:  # not isinstance: bool is a subclass of int
            return value
        if kind is float and type(value) is int:
            try:
                number = float(value)
            except OverflowError:
                raise _wrong(node, kind, ", which is too large") from None
            if number == value:
                return number
            raise _wrong(node, kind, f", which would become {number!r}; write that instead")
    raise _wrong(node, kind)


def _path(node: Node, kind: type[Path]) -> Path:
    if not is_text(node):
        raise _wrong(node, kind)
    return kind(node.value)


def _choice(node: Node, kind: Any) -> Any:
    """Return the member of an `Enum`, or the value of a `Literal`."""
    choices = {value: value for value in get_args(kind)} or {one.value: one for one in kind}
    for value, choice in choices.items():
        if isinstance(node, ScalarNode) and type(node.value) is type(value) and node.value == value:
            return choice
    near = did_you_mean(node.value, map(str, choices)) if is_text(node) else ""
    raise _wrong(node, kind, near)


def _union(converter: cattrs.Converter, node: Node, kind: Any) -> Any:
    members = list(get_args(kind))
    # try the exact type first: 3 is an int for `int | float` and for `float | int`
    members.sort(key=lambda member: isinstance(node, ScalarNode) and member is not type(node.value))
    refused: dict[Any, RefusedError] = {}
    for member in members:
        try:
            return converter.structure(node, member)
        except RefusedError as cause:
            refused[member] = cause
    matching = [member for member in members if _has_form(node, member)]
    if len(matching) == 1:  # the only type of this form: report the mistakes inside
        raise refused[matching[0]]
    raise _wrong(node, kind)


def _has_form(node: Node, kind: Any) -> bool:
    if isinstance(node, SequenceNode):
        return get_origin(kind) is tuple
    if isinstance(node, MappingNode):
        return _is_mapping(kind) or (isinstance(kind, type) and attrs.has(kind))
    # the name of a component
    return is_text(node) and isinstance(kind, type) and issubclass(kind, Component)


def _tuple(converter: cattrs.Converter, node: Node, kind: Any) -> tuple[Any, ...]:
    kinds = get_args(kind)
    if not isinstance(node, SequenceNode):
        raise _wrong(node, kind)
    if kinds[-1] is ...:
        kinds = kinds[:1] * len(node.value)
    elif len(kinds) != len(node.value):
        raise refuse(location(node), f"expected {expected(kind)}, got a list of {len(node.value)}")
    parts = enumerate(zip(node.value, kinds, strict=True))
    return tuple(_collected(converter, {str(index): part for index, part in parts}).values())


def _mapping(converter: cattrs.Converter, node: Node, kind: Any) -> dict[str, Any]:
    if not isinstance(node, MappingNode):
        raise _wrong(node, kind)
    value_kind = get_args(kind)[1]
    return _collected(converter, {k: (value, value_kind) for k, value in entries(node).items()})


def _collected(
    converter: cattrs.Converter, parts: Mapping[str, tuple[Node, Any]]
) -> dict[str, Any]:
    """Return the values of nodes and their kinds; `RefusedError` has the mistakes of all parts."""
    values: dict[str, Any] = {}
    mistakes: list[Mistake] = []
    for name, (node, kind) in parts.items():
        try:
            values[name] = converter.structure(node, kind)
        except RefusedError as cause:
            mistakes.extend(mistake.under(name) for mistake in cause.mistakes)
    if mistakes:
        raise RefusedError(mistakes)
    return values
