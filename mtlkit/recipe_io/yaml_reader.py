"""YAML text to located values: the core schema of YAML 1.2, and nothing that surprises.

PyYAML splits the text into events; what a scalar means is decided here, because its own rules are
those of YAML 1.1, where ``1e-4`` is a text, ``no`` is false and ``010`` is eight.
"""

import contextlib
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import yaml

from mtlkit.recipe_io.source_location import (
    Entries,
    Items,
    Mistake,
    Node,
    Place,
    Plain,
    RefusedError,
    Scalar,
    refuse,
)

MAX_CHARACTERS = 1_000_000
MAX_DEPTH = 40
MAX_NODES = 50_000  # with every alias written out

INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?(?:\.inf|\.Inf|\.INF)|\.nan|\.NaN|\.NAN"
)
UNLIKE = re.compile("[\t\x85\u2028\u2029\ufeff?!|>]")
"""Characters that libyaml and PyYAML take differently in some places."""

WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}


def read_yaml(text: str, source: str, *, lines: bool = True) -> Node:
    """The one document in `text`; `RefusedError` with every mistake found.

    `source` is the name that places bear; with `lines` false they bear nothing else.

    >>> read_yaml("lr: 1e-4", "r.yaml").values["lr"]
    Scalar(value=0.0001, place=Place(source='r.yaml', line=1, column=5))
    """

    def place(mark: Any) -> Place:
        if mark is None:
            return Place(source)
        return Place(source, mark.line + 1, mark.column + 1) if lines else Place(source)

    if len(text) > MAX_CHARACTERS:
        raise refuse(
            Place(source), f"expected at most {MAX_CHARACTERS} characters, found {len(text)}"
        )
    try:
        builder, node = _built(text, place)
    except yaml.MarkedYAMLError as cause:
        mark = cause.problem_mark or cause.context_mark
        problem = "; ".join(filter(None, (cause.context, cause.problem)))
        raise refuse(place(mark), f"is not YAML: {problem}") from cause
    except yaml.reader.ReaderError as cause:
        before = text[: cause.position]
        line = before.count("\n") + 1
        column = cause.position - (before.rfind("\n") + 1) + 1
        where = Place(source, line, column) if lines else Place(source)
        raise refuse(
            where, f"is not YAML: the character U+{ord(text[cause.position]):04X} is not allowed"
        ) from cause
    except (ValueError, OverflowError) as cause:  # an escape outside Unicode, \UFFFFFFFF
        raise refuse(Place(source), f"is not YAML: {cause}") from cause
    if builder.mistakes:
        raise RefusedError(builder.mistakes)
    return node


def _built(text: str, place: Callable[[Any], Place]) -> "tuple[_Builder, Node]":
    """The tree of `text`, by libyaml where it is there: it takes a fifth of the time.

    What libyaml refuses is read again by PyYAML itself, whose errors say more and are always alike.
    """
    if yaml.__with_libyaml__ and not UNLIKE.search(text):
        builder = _Builder(place)
        with contextlib.suppress(yaml.YAMLError, ValueError, OverflowError):
            return builder, builder.document(yaml.parse(text, yaml.CSafeLoader))
    builder = _Builder(place)
    return builder, builder.document(yaml.parse(text, yaml.SafeLoader))


class _Builder:
    """Builds the tree from events, and bounds its depth and its size."""

    def __init__(self, place: Callable[[Any], Place]) -> None:
        self.mistakes: list[Mistake] = []
        self._place = place
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._nodes = 0

    def document(self, events: Iterator[yaml.Event]) -> Node:
        """The only document of a stream; nothing where there is none."""
        node: Node = Scalar(None, Place(""))
        found = False
        for event in events:
            if isinstance(event, yaml.StreamStartEvent) and not found:
                node = Scalar(None, self._place(event.start_mark))
            elif isinstance(event, yaml.DocumentStartEvent):
                if found:
                    raise refuse(self._place(event.start_mark), "expected one document, found two")
                node, found = self._node(next(events), events, 0), True
        return node

    def _node(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Node:
        place = self._place(event.start_mark)
        if depth > MAX_DEPTH:
            raise refuse(place, f"nested more than {MAX_DEPTH} levels deep")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, place)
        assert isinstance(event, yaml.NodeEvent)
        before = self._nodes
        self._grow(1, place)
        node = self._content(event, events, depth, place)
        if event.anchor is not None:
            self._anchors[event.anchor] = (node, self._nodes - before)
        return node

    def _content(
        self, event: yaml.NodeEvent, events: Iterator[yaml.Event], depth: int, place: Place
    ) -> Node:
        tag = event.tag if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) else None
        if tag is not None:
            self._mistake(place, f"the tag {tag!r} is not allowed; components are named by `type`")
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, place)
        if isinstance(event, yaml.SequenceStartEvent):
            items = []
            while not isinstance(item := next(events), yaml.SequenceEndEvent):
                items.append(self._node(item, events, depth + 1))
            return Items(tuple(items), place)
        return self._entries(events, depth, place)

    def _entries(self, events: Iterator[yaml.Event], depth: int, place: Place) -> Entries:
        values: dict[str, Node] = {}
        keys: dict[str, Place] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key = self._node(event, events, depth + 1)
            value = self._node(next(events), events, depth + 1)
            if not isinstance(key, Scalar):
                self._mistake(key.place, "expected a name as the key, found a collection")
            elif not isinstance(key.value, str):
                self._mistake(
                    key.place, f"expected a name as the key, found {key.value!r}; put it in quotes"
                )
            elif key.value in keys:
                self._mistake(
                    key.place, f"the key {key.value!r} stands twice, first at {keys[key.value]}"
                )
            else:
                values[key.value], keys[key.value] = value, key.place
        return Entries(values, keys, place)

    def _alias(self, event: yaml.AliasEvent, place: Place) -> Node:
        if event.anchor not in self._anchors:
            raise refuse(place, f"no anchor named {event.anchor!r} ends before this alias")
        node, size = self._anchors[event.anchor]
        self._grow(size, place)
        return node

    def _scalar(self, event: yaml.ScalarEvent, place: Place) -> Scalar:
        text = event.value
        if any("\ud800" <= character <= "\udfff" for character in text):
            self._mistake(place, "a text with half of a surrogate pair is not Unicode")
        if event.style:  # quoted: a text, whatever it looks like
            return Scalar(text, place)
        try:
            return Scalar(resolve(text), place)
        except ValueError as cause:
            self._mistake(place, str(cause))
            return Scalar(None, place)

    def _grow(self, nodes: int, place: Place) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise refuse(place, f"more than {MAX_NODES} values, aliases written out")

    def _mistake(self, place: Place, message: str) -> None:
        self.mistakes.append(Mistake(place, message))


def resolve(text: str) -> Plain:
    """What an unquoted scalar means; ValueError for a number too large to be kept.

    >>> resolve("1e-4"), resolve("no"), resolve("010"), resolve("1:30"), resolve("~")
    (0.0001, 'no', 10, '1:30', None)
    """
    if text in WORDS:
        return WORDS[text]
    if INTEGER.fullmatch(text):
        if len(text) > 1000:
            raise ValueError("a whole number of more than 1000 digits")
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    if FLOAT.fullmatch(text):
        value = float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        if math.isinf(value) and "i" not in text.lower():
            raise ValueError(f"the number {text[:30]} is too large")
        return value
    return text
