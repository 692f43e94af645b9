"""Helpers for the YAML nodes of `mtlkit.recipe_io.yaml_reader`.

The value of a scalar node is a plain Python value, and the keys of a mapping node are unique texts.
"""

from collections.abc import Iterable, Sequence
from typing import TypeAlias, TypeGuard

import yaml
from yaml import MappingNode, Node, ScalarNode, SequenceNode

from mtlkit.recipe_io.source_location import SourceLocation

Plain: TypeAlias = str | int | float | bool | None
"""A value of a scalar in the core schema of YAML."""

Pair: TypeAlias = tuple[ScalarNode, Node]
"""A key and its value."""


def whole(source: str) -> yaml.Mark:
    """Return the mark of a whole source, such as an argument of the command line."""
    return yaml.Mark(source, 0, -1, -1, None, 0)


def location(at: Node | yaml.Mark) -> SourceLocation:
    """Return the location of a node or a mark."""
    mark = at.start_mark if isinstance(at, Node) else at
    return SourceLocation(mark.name, mark.line + 1, mark.column + 1)


def mapping(pairs: Iterable[Pair], mark: yaml.Mark) -> MappingNode:
    """Return a mapping node at `mark`."""
    return MappingNode("", list(pairs), mark)


def wrap(key: str, node: Node) -> MappingNode:
    """Return a mapping with `node` as its only value, at the same location."""
    return mapping([(ScalarNode("", key, node.start_mark), node)], node.start_mark)


def keys(node: MappingNode) -> dict[str, ScalarNode]:
    """Return the nodes of the keys by name."""
    return {key.value: key for key, _ in node.value}


def entries(node: MappingNode) -> dict[str, Node]:
    """Return the nodes of the values by key."""
    return {key.value: value for key, value in node.value}


def entry(node: Node, name: str) -> Node | None:
    """Return the value of the key `name`; None if `node` has no such key."""
    return entries(node).get(name) if isinstance(node, MappingNode) else None


def without(node: MappingNode, name: str) -> MappingNode:
    """Return the mapping without the key `name`."""
    return mapping([pair for pair in node.value if pair[0].value != name], node.start_mark)


def is_text(node: Node | None) -> TypeGuard[ScalarNode]:
    """Return whether `node` is a scalar that holds a text."""
    return isinstance(node, ScalarNode) and isinstance(node.value, str)


def child_at(root: Node, path: Sequence[str]) -> Node | None:
    """Return the node at `path`; None if the document has none."""
    node: Node | None = root
    for step in path:
        if isinstance(node, SequenceNode) and step.isdecimal() and int(step) < len(node.value):
            node = node.value[int(step)]
        else:
            node = None if node is None else entry(node, step)
    return node


def node_at(root: Node, path: Sequence[str]) -> Node:
    """Return the deepest node on `path` that exists."""
    nodes = (child_at(root, path[:length]) for length in range(len(path), 0, -1))
    return next((node for node in nodes if node is not None), root)
