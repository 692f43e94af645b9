"""Layers of a recipe: the file it extends, the file itself, and what ``--set`` says, in this order.

One rule merges them all: mappings merge, everything else replaces; a component that is named anew
replaces the whole component, so that no option of the old one leaks into the new.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeGuard

from mtlkit.config import type_key
from mtlkit.recipe_file.located import Entries, Mistake, Node, Place, RefusedError, Scalar, refuse
from mtlkit.recipe_file.yaml_reader import read_yaml

EXTENDS = "extends"
"""The key of a recipe that names the file it extends, relative to the recipe's own folder."""


def read_text(path: Path) -> str:
    """The text of a recipe's file; `RefusedError` where there is none."""
    source = Place(str(path))
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as cause:
        raise refuse(source, "there is no such file; expected a recipe") from cause
    except IsADirectoryError as cause:
        raise refuse(source, "is a folder; expected a recipe") from cause
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
    for override in overrides:
        try:
            tree = merge(tree, read_override(override))
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


def read_override(text: str) -> Entries:
    """The layer that ``--set text`` adds.

    >>> read_override("optimizer.lr=3e-4").values["optimizer"].values["lr"].value
    0.0003
    """
    place = Place(f"--set {text}")
    path, equals, value = text.partition("=")
    steps = [step.strip() for step in path.split(".")]
    if not equals or not all(steps):
        raise refuse(place, "expected PATH=VALUE, such as optimizer.lr=0.01")
    node = read_yaml(value, place.source, lines=False)
    for step in reversed(steps):
        node = Entries({step: node}, {step: place}, place)
    assert isinstance(node, Entries)
    return node


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
