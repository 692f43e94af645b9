"""Layers of a recipe: the file it extends, the file itself, and what ``--set`` says, in this order.

One rule merges them all: mappings merge, everything else replaces; a component that is named anew
replaces the whole component, so that no option of the old one leaks into the new. All of ``--set``
is one layer, from which nothing is dropped.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeGuard

from mtlkit.component import type_key
from mtlkit.recipe_io.source_location import (
    Entries,
    Mistake,
    Node,
    Place,
    RefusedError,
    Scalar,
    refuse,
)
from mtlkit.recipe_io.yaml_reader import read_yaml

EXTENDS = "extends"
"""The key of a recipe that names the file it extends, relative to the recipe's own folder."""


def read_text(path: Path, what: str = "recipe") -> str:
    """The text of a file that holds a recipe, or `what`; `RefusedError` where there is none."""
    source = Place(str(path))
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as cause:
        raise refuse(source, f"there is no such file; expected a {what}") from cause
    except IsADirectoryError as cause:
        raise refuse(source, f"is a folder; expected a {what}") from cause
    except UnicodeDecodeError as cause:
        raise refuse(
            source, f"is not UTF-8 text: byte {cause.start} is {cause.object[cause.start]:#04x}"
        ) from cause
    except (OSError, ValueError) as cause:  # ValueError: a NUL in the path
        reason = cause.strerror if isinstance(cause, OSError) else cause
        raise refuse(source, f"cannot be read: {reason}") from cause


def read_layers(text: str, source: str, folder: Path, overrides: Sequence[str]) -> Entries:
    """All layers as one tree, in which every value knows the layer it came from.

    `folder` is where the recipe stands. Raises `RefusedError`.
    """
    mistakes: list[Mistake] = []
    tree: Node = Entries({}, {}, Place(source))
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
    assert isinstance(tree, Entries)
    return tree


def _document(text: str, source: str) -> Entries:
    tree = read_yaml(text, source)
    if isinstance(tree, Scalar) and tree.value is None:
        raise refuse(Place(source), "is empty; expected a recipe with `data`, `backbone`, `tasks`")
    if not isinstance(tree, Entries):
        found = "a list" if not isinstance(tree, Scalar) else repr(tree.value)
        raise refuse(tree.place, f"expected a recipe with keys such as `data`, found {found}")
    return tree


def _extended(tree: Entries, folder: Path) -> Entries:
    if EXTENDS not in tree.values:
        return tree
    named = tree.values[EXTENDS]
    own = tree.without(EXTENDS)
    if not (isinstance(named, Scalar) and isinstance(named.value, str)):
        raise RefusedError([Mistake(named.place, "expected the path of one recipe", (EXTENDS,))])
    path = folder / named.value
    try:
        base = _document(read_text(path), str(path))
    except RefusedError as cause:
        first = cause.mistakes[0]
        if first.place == Place(str(path)):  # the file as a whole: point to who asked for it
            message = f"{first.place}: {first.message}"
            raise RefusedError([Mistake(named.place, message, (EXTENDS,))]) from cause
        raise
    if EXTENDS in base.values:
        raise RefusedError(
            [
                Mistake(
                    named.place,
                    f"{path} extends another recipe itself; one level is allowed",
                    (EXTENDS,),
                )
            ]
        )
    merged = merge(base, own)
    assert isinstance(merged, Entries)
    return merged


def read_overrides(texts: Sequence[str]) -> Entries:
    """The layer that several ``--set`` make together, whatever their order.

    Of one path said twice the last counts, and a longer path says more than a shorter one. Raises
    `RefusedError` with every mistake, one of which is a path within what has no parts.

    >>> layer = read_overrides(["optimizer.lr=3e-4", "optimizer=adamw"])
    >>> {key: node.value for key, node in layer.values["optimizer"].values.items()}
    {'type': 'adamw', 'lr': 0.0003}
    """
    found: dict[tuple[str, ...], Node] = {}
    mistakes: list[Mistake] = []
    for text in texts:
        try:
            path, value = _override(text)
            found[path] = value
        except RefusedError as cause:
            mistakes.extend(cause.mistakes)
    layer: Node = Entries({}, {}, Place("--set"))
    for path in sorted(found, key=len):
        node = found[path]
        for step in reversed(path):
            node = Entries({step: node}, {step: node.place}, node.place)
        try:
            layer = _joined(layer, node)
        except RefusedError as cause:
            mistakes.extend(cause.mistakes)
    if mistakes:
        raise RefusedError(mistakes)
    assert isinstance(layer, Entries)
    return layer


def _override(text: str) -> tuple[tuple[str, ...], Node]:
    """The path and the value of ``--set text``."""
    place = Place(f"--set {text}")
    path, equals, value = text.partition("=")
    steps = tuple(step.strip() for step in path.split("."))
    if not equals or not all(steps):
        raise refuse(place, "expected PATH=VALUE, such as optimizer.lr=0.01")
    return steps, read_yaml(value, place.source, lines=False)


def _joined(layer: Node, more: Node) -> Node:
    """`more` of ``--set`` beside what is there: unlike in `merge`, a new name replaces nothing."""
    if isinstance(more, Entries) and _is_text(layer):
        layer = _named(layer)
    elif isinstance(layer, Entries) and _is_text(more):
        more = _named(more)
    if not isinstance(more, Entries):
        return more
    if not isinstance(layer, Entries):
        raise refuse(more.place, f"contradicts {layer.place}; leave one out")
    values = dict(layer.values)
    for key, value in more.values.items():
        values[key] = _joined(values[key], value) if key in values else value
    return Entries(values, {**layer.keys, **more.keys}, layer.place)


def merge(base: Node, over: Node) -> Node:
    """`over` on top of `base`."""
    bare = isinstance(over, Entries) and _is_text(base)
    if bare:
        base = _named(base)
    elif isinstance(base, Entries) and _is_text(base.values.get(type_key)) and _is_text(over):
        over = _named(over)
    if not (isinstance(base, Entries) and isinstance(over, Entries)):
        return over
    old, new = base.values.get(type_key), over.values.get(type_key)
    if _is_text(old) and _is_text(new) and old.value != new.value:
        return over
    values = dict(base.values)
    for key, value in over.values.items():
        values[key] = merge(values[key], value) if key in values else value
    # a mapping stands where a person would add the key that it lacks: in a file, if there is one
    place = over.place if over.place.line or bare else base.place
    return Entries(values, {**base.keys, **over.keys}, place)


def _is_text(node: Node | None) -> TypeGuard[Scalar]:
    return isinstance(node, Scalar) and isinstance(node.value, str)


def _named(node: Node) -> Entries:
    """The long form of a component that is written as its bare name."""
    return Entries({type_key: node}, {type_key: node.place}, node.place)
