"""YAML text to nodes with plain values: the core schema of YAML 1.2, with limits on size.

PyYAML composes the nodes. The values of scalars are resolved here, because PyYAML follows YAML 1.1,
in which ``1e-4`` is a text, ``no`` is false and ``010`` is eight.
"""

import math
import re
from typing import Any

import yaml
from yaml import MappingNode, Node, ScalarNode

from mtlkit.recipe_io.source_location import Mistake, RefusedError, SourceLocation, refuse
from mtlkit.recipe_io.yaml_nodes import Pair, Plain, location, whole

MAX_CHARACTERS = 1_000_000
MAX_DEPTH = 40
MAX_NODES = 50_000  # aliases expanded

INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?(?:\.inf|\.Inf|\.INF)|\.nan|\.NaN|\.NAN"
)
WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}


def read_yaml(text: str, source: str, *, lines: bool = True) -> Node:
    """Return the one document in `text`; raise `RefusedError` with every mistake in it.

    Locations name `source`, and a line and a column if `lines` is true.

    >>> tree = read_yaml("lr: 1e-4", "r.yaml")
    >>> from mtlkit.recipe_io.yaml_nodes import entry
    >>> entry(tree, "lr").value, str(location(entry(tree, "lr")))
    (0.0001, 'r.yaml:1:5')
    """
    if len(text) > MAX_CHARACTERS:
        raise refuse(
            SourceLocation(source), f"expected at most {MAX_CHARACTERS} characters, got {len(text)}"
        )
    try:
        loader = _Loader(text, source, lines)
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as cause:
        mark = cause.problem_mark or cause.context_mark or whole(source)
        problem = "; ".join(filter(None, (cause.context, cause.problem)))
        raise refuse(location(mark), f"is not one YAML document: {problem}") from cause
    except yaml.reader.ReaderError as cause:
        before = text[: cause.position].split("\n")
        at = SourceLocation(source, len(before), len(before[-1]) + 1)
        raise refuse(
            at if lines else SourceLocation(source),
            f"is not YAML: the character U+{ord(text[cause.position]):04X} is not allowed",
        ) from cause
    except (ValueError, OverflowError) as cause:  # an escape outside Unicode, \UFFFFFFFF
        raise refuse(SourceLocation(source), f"is not YAML: {cause}") from cause
    if loader.mistakes:
        raise RefusedError(loader.mistakes)
    return node or ScalarNode("", None, loader.get_mark())


class _Loader(yaml.BaseLoader):
    """Compose nodes with plain values and unique keys, within limits on depth and number."""

    def __init__(self, text: str, source: str, lines: bool) -> None:
        self._source, self._lines = source, lines
        self._depth = 0
        self._nodes = 0
        self._sizes: dict[str, int] = {}  # nodes below each anchor whose node is complete
        self.mistakes: list[Mistake] = []
        super().__init__(text)

    def get_mark(self) -> yaml.Mark:
        if not self._lines:
            return whole(self._source)
        return yaml.Mark(self._source, self.index, self.line, self.column, None, 0)

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        at = location(event.start_mark)
        if self._depth > MAX_DEPTH:
            raise refuse(at, f"nested more than {MAX_DEPTH} levels deep")
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._sizes:
                raise refuse(at, f"no anchor named {event.anchor!r} ends before this alias")
            self._grow(self._sizes[event.anchor], at)
            return super().compose_node(parent, index)
        if event.tag is not None:
            message = f"the tag {event.tag!r} is not allowed; components are named by `type`"
            self._mistake(event.start_mark, message)
        if event.anchor is not None:  # PyYAML refuses an anchor that is defined again
            self.anchors.pop(event.anchor, None)
            self._sizes.pop(event.anchor, None)
        before = self._nodes
        self._grow(1, at)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        if isinstance(node, ScalarNode):
            node.value = self._plain(node)
        elif isinstance(node, MappingNode):
            node.value = self._unique(node.value)
        if event.anchor is not None and node is not None:
            self.anchors[event.anchor] = node
            self._sizes[event.anchor] = self._nodes - before
        return node

    def _plain(self, node: ScalarNode) -> Plain:
        text: str = node.value
        if any("\ud800" <= character <= "\udfff" for character in text):
            self._mistake(node, "a text with half of a surrogate pair is not Unicode")
        if node.style:  # quoted or a block
            return text
        try:
            return resolve(text)
        except ValueError as cause:
            self._mistake(node, str(cause))
            return None

    def _unique(self, pairs: list[tuple[Node, Node]]) -> list[Pair]:
        unique: dict[str, Pair] = {}
        for key, value in pairs:
            if not isinstance(key, ScalarNode):
                self._mistake(key, "expected a name as the key, got a collection")
            elif not isinstance(key.value, str):
                message = f"expected a name as the key, got {key.value!r}; put it in quotes"
                self._mistake(key, message)
            elif key.value == "<<" and not key.style:
                self._mistake(
                    key,
                    "merge keys (<<) are not part of YAML 1.2; repeat the values, or put them in a "
                    "recipe that this one `extends`",
                )
            elif key.value in unique:
                first = location(unique[key.value][0])
                message = f"the key {key.value!r} occurs twice, first at {first}; keep one"
                self._mistake(key, message)
            else:
                unique[key.value] = (key, value)
        return list(unique.values())

    def _grow(self, nodes: int, at: SourceLocation) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise refuse(at, f"expected at most {MAX_NODES} values, aliases expanded")

    def _mistake(self, at: Node | yaml.Mark, message: str) -> None:
        self.mistakes.append(Mistake(location(at), message))


def resolve(text: str) -> Plain:
    """Return the value of an unquoted scalar; raise `ValueError` for a number that is too large.

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
