"""Types and values as text, for messages and listings."""

import types
import typing
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import attrs
from yaml import MappingNode, Node, SequenceNode

from mtlkit.component import Component

_SCALARS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    Path: "a path",
    type(None): "null",
    None: "null",
}


def expected(kind: Any) -> str:
    """Describe the values of the type `kind` in a recipe.

    >>> expected(float), expected(int | None), expected(tuple[str, ...])
    ('a number', 'a whole number or null', 'a list (each item: text)')
    """
    if kind in _SCALARS:
        return _SCALARS[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if is_union(kind):
        return " or ".join(expected(member) for member in arguments)
    if origin is Literal:
        return one_of(map(str, arguments))
    if origin is tuple:
        if arguments[-1] is ...:
            return f"a list (each item: {expected(arguments[0])})"
        return f"a list of {len(arguments)} ({', '.join(map(expected, arguments))})"
    if origin is not None and issubclass(origin, Mapping):
        return f"a mapping (each value: {expected(arguments[1])})"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return one_of(str(member.value) for member in kind)
    if isinstance(kind, type) and issubclass(kind, Component):
        return f"a component ({article(words(kind.__name__))})"
    if isinstance(kind, type) and attrs.has(kind):
        return f"a mapping ({words(kind.__name__)})"
    return f"a value of the type {kind}"


def describe(node: Node) -> str:
    """Describe the value of a node."""
    if isinstance(node, MappingNode):
        return "a mapping"
    if isinstance(node, SequenceNode):
        return "a list"
    if node.value is None:
        return "null"
    if isinstance(node.value, bool):
        return str(node.value).lower()
    text = str(node.value)
    shown = text if len(text) <= 60 else f"{text[:60]}..."
    return f"the text {shown!r}" if isinstance(node.value, str) else f"the number {shown}"


def one_of(choices: Iterable[str]) -> str:
    """Describe a choice of words."""
    return f"one of {', '.join(choices)}"


def article(noun: str) -> str:
    """Return the noun with 'a' or 'an' before it."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def is_union(kind: Any) -> bool:
    """Return whether `kind` is ``A | B``, written either way."""
    return get_origin(kind) in (types.UnionType, typing.Union)


def words(class_name: str) -> str:
    """Return the name of a class as words.

    >>> words("WarmStart")
    'warm start'
    """
    spaced = "".join(f" {c.lower()}" if c.isupper() else c for c in class_name)
    return spaced.strip()
