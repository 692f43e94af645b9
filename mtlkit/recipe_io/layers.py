"""Layers of a recipe: the file it extends, the file itself, and ``--set``, in this order.

Mappings merge, numbers change items of a list, and other values replace. A component with another
name replaces the whole component, so that no option of the old one remains. All ``--set`` form one
layer, in which no value is dropped.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeGuard

from yaml import MappingNode, Node, ScalarNode, SequenceNode

from mtlkit.component import type_key
from mtlkit.recipe_io.source_location import Mistake, RefusedError, SourceLocation, refuse
from mtlkit.recipe_io.yaml_nodes import (
    Pair,
    entry,
    is_text,
    keys,
    location,
    mapping,
    whole,
    without,
    wrap,
)
from mtlkit.recipe_io.yaml_reader import MAX_CHARACTERS, read_yaml
from mtlkit.regular_files import is_file, read_regular

LARGEST = 4 * MAX_CHARACTERS
"""Maximum size of a file, in bytes: no character of UTF-8 has more than four."""

SUFFIXES = (".yaml", ".yml")
"""Suffixes of the files that a recipe may extend."""

EXTENDS = "extends"
"""The key for the file that a recipe extends, relative to the folder of the recipe."""


def read_text(path: Path, what: str = "recipe") -> str:
    """Return the text of the `what` file at `path`; `RefusedError` if it cannot be read."""
    source = SourceLocation(str(path))
    try:
        return read_regular(path, LARGEST).decode("utf-8-sig")
    except FileNotFoundError as cause:
        raise refuse(source, f"no such file; expected a {what}") from cause
    except IsADirectoryError as cause:
        raise refuse(source, f"is a folder; expected a {what}") from cause
    except UnicodeDecodeError as cause:
        raise refuse(
            source, f"is not UTF-8 text: byte {cause.start} is {cause.object[cause.start]:#04x}"
        ) from cause
    except (OSError, ValueError) as cause:  # ValueError: a NUL in the path
        reason = cause.strerror if isinstance(cause, OSError) else cause
        raise refuse(source, f"cannot be read: {reason}") from cause


def read_layers(text: str, source: str, folder: Path, overrides: Sequence[str]) -> MappingNode:
    """Return all layers as one tree of nodes with their source locations.

    `folder` is that of the recipe. Raises `RefusedError` with all mistakes.
    """
    mistakes: list[Mistake] = []
    tree: Node = mapping([], whole(source))
    try:
        tree = _extended(_document(text, source), folder)
    except RefusedError as cause:
        mistakes.extend(cause.mistakes)
    try:
        tree = merge(tree, read_overrides(overrides))
    except RefusedError as cause:
        mistakes.extend(cause.mistakes)
    if mistakes:
        raise RefusedError(mistakes)
    assert isinstance(tree, MappingNode)
    return tree


def _document(text: str, source: str) -> MappingNode:
    tree = read_yaml(text, source)
    if isinstance(tree, ScalarNode) and tree.value is None:
        raise refuse(
            SourceLocation(source), "is empty; expected a recipe with `data`, `backbone`, `tasks`"
        )
    if not isinstance(tree, MappingNode):
        text = repr(tree.value) if isinstance(tree, ScalarNode) else "a list"
        raise refuse(location(tree), f"expected a recipe with keys such as `data`, got {text}")
    return tree


def _extended(tree: MappingNode, folder: Path) -> Node:
    named = entry(tree, EXTENDS)
    if named is None:
        return tree

    def refused(message: str) -> RefusedError:
        return RefusedError([Mistake(location(named), message, (EXTENDS,))])

    if not is_text(named):
        raise refused("expected the path of one recipe")
    path = folder / named.value
    if is_file(path) and path.suffix.lower() not in SUFFIXES:
        # messages quote the keys of a recipe, so other files are not opened
        raise refused(f"got {named.value!r}, expected a recipe that ends in .yaml or .yml")
    try:
        base = _document(read_text(path), str(path))
    except RefusedError as cause:
        first = cause.mistakes[0]
        if first.location == SourceLocation(str(path)):  # the whole file
            raise refused(f"{first.location}: {first.message}") from cause
        raise
    if entry(base, EXTENDS) is not None:
        raise refused(f"{path} extends another recipe; expected one level")
    return merge(base, without(tree, EXTENDS))


def read_overrides(texts: Sequence[str]) -> Node:
    """Return the layer of all ``--set`` arguments, independent of their order.

    The last value of a repeated path applies, and a longer path overrides a shorter one. Raises
    `RefusedError` with all mistakes, such as a path into a value that has no parts.

    >>> layer = read_overrides(["optimizer.lr=3e-4", "optimizer=adamw"])
    >>> {key.value: node.value for key, node in entry(layer, "optimizer").value}
    {'type': 'adamw', 'lr': 0.0003}
    """
    values: dict[tuple[str, ...], Node] = {}
    mistakes: list[Mistake] = []
    for text in texts:
        try:
            path, value = _override(text)
            values[path] = value
        except RefusedError as cause:
            mistakes.extend(cause.mistakes)
    layer: Node = mapping([], whole("--set"))
    for path in sorted(values, key=len):
        node = values[path]
        for step in reversed(path):
            node = wrap(step, node)
        try:
            layer = _combined(layer, node)
        except RefusedError as cause:
            mistakes.extend(cause.mistakes)
    if mistakes:
        raise RefusedError(mistakes)
    return layer


def _override(text: str) -> tuple[tuple[str, ...], Node]:
    """Return the path and the value of ``--set text``."""
    source = f"--set {text}"
    path, equals, value = text.partition("=")
    steps = tuple(step.strip() for step in path.split("."))
    if not equals or not all(steps):
        raise refuse(SourceLocation(source), "expected PATH=VALUE, such as optimizer.lr=0.01")
    return steps, read_yaml(value, source, lines=False)


def _combined(layer: Node, more: Node) -> Node:
    """Merge two ``--set`` arguments; unlike in `merge`, a component name replaces no options."""
    if isinstance(more, MappingNode) and is_text(layer):
        layer = wrap(type_key, layer)
    elif isinstance(layer, MappingNode) and is_text(more):
        more = wrap(type_key, more)
    if not isinstance(more, MappingNode):
        return more
    if not isinstance(layer, MappingNode):
        raise refuse(location(more), f"contradicts {location(layer)}; remove one")
    return mapping(_merged_pairs(layer, more, _combined), layer.start_mark)


def merge(base: Node, over: Node) -> Node:
    """Return `base` with the values of `over`."""
    if isinstance(base, SequenceNode) and _has_indices(over):
        return _with_items(base, over)
    bare = isinstance(over, MappingNode) and is_text(base)
    if bare:
        base = wrap(type_key, base)
    elif is_text(entry(base, type_key)) and is_text(over):
        over = wrap(type_key, over)
    if not (isinstance(base, MappingNode) and isinstance(over, MappingNode)):
        return over
    old, new = entry(base, type_key), entry(over, type_key)
    if is_text(old) and is_text(new) and old.value != new.value:
        return over
    # report missing keys at the mapping in a file, if there is one
    at = over if location(over).line or bare else base
    return mapping(_merged_pairs(base, over, merge), at.start_mark)


def _has_indices(node: Node) -> TypeGuard[MappingNode]:
    """Return whether `node` changes items of a list, as ``--set callbacks.0.patience=3`` does."""
    names = keys(node) if isinstance(node, MappingNode) else ()
    return bool(names) and all(map(str.isdecimal, names))


def _with_items(base: SequenceNode, over: MappingNode) -> SequenceNode:
    items = list(base.value)
    for key, value in over.value:
        if int(key.value) >= len(items):
            message = f"no item {key.value}: the list has {len(items)}, counted from 0"
            raise refuse(location(value), f"{message}; change one of these, or write the list")
        items[int(key.value)] = merge(items[int(key.value)], value)
    return SequenceNode("", items, base.start_mark)


def _merged_pairs(
    base: MappingNode, over: MappingNode, merge_values: Callable[[Node, Node], Node]
) -> list[Pair]:
    pairs: dict[str, Pair] = {key.value: (key, value) for key, value in base.value}
    for key, value in over.value:
        old = pairs.get(key.value)
        pairs[key.value] = (key, value if old is None else merge_values(old[1], value))
    return list(pairs.values())
