"""Values that remember where they were written, and mistakes that say so."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import attrs

Plain: TypeAlias = str | int | float | bool | None
"""What a scalar of YAML's core schema can be."""


@attrs.frozen
class Place:
    """Where something was written: in a file, or on the command line, which has no lines.

    >>> str(Place("wrong.yaml", 2, 18)), str(Place("--set seed=x"))
    ('wrong.yaml:2:18', '--set seed=x')
    """

    source: str
    line: int = 0  # from 1; 0: the source has no lines
    column: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


@attrs.frozen
class Scalar:
    """A text, a number, a truth value or nothing."""

    value: Plain
    place: Place


@attrs.frozen
class Items:
    """A list."""

    items: "tuple[Node, ...]"
    place: Place


@attrs.frozen
class Entries:
    """A mapping; each key has a place beside that of its value."""

    values: "Mapping[str, Node]"
    keys: Mapping[str, Place]
    place: Place

    def without(self, name: str) -> "Entries":
        """The same mapping, one key less."""
        kept = {key: value for key, value in self.values.items() if key != name}
        return Entries(kept, self.keys, self.place)


Node: TypeAlias = Scalar | Items | Entries


@attrs.frozen
class Mistake:
    """One thing that is wrong: where it stands, its path in the recipe, and what to do.

    >>> str(Mistake(Place("r.yaml", 3, 7), "expected a number", ("optimizer", "lr")))
    'r.yaml:3:7: optimizer.lr: expected a number'
    """

    place: Place
    message: str
    path: tuple[str, ...] = ()

    def __str__(self) -> str:
        # a stranger's message may span lines; a mistake never does
        message = " ".join(self.message.split())
        return ": ".join(part for part in (str(self.place), ".".join(self.path), message) if part)

    def under(self, step: str) -> "Mistake":
        """The same mistake seen from the mapping that holds the value as `step`."""
        return attrs.evolve(self, path=(step, *self.path))


class RefusedError(Exception):
    """A value that cannot be used, with every mistake in it; whoever reads the file tells them."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(map(str, self.mistakes)))

    def lines(self) -> list[str]:
        """A line for each mistake: files in the order of their lines, then the command line."""
        places = {mistake: mistake.place for mistake in self.mistakes}
        return [
            str(mistake)
            for mistake in sorted(
                places,
                key=lambda m: (m.place.line == 0, m.place.source, m.place.line, m.place.column),
            )
        ]


def refuse(place: Place, message: str) -> RefusedError:
    """The error for a single mistake."""
    return RefusedError([Mistake(place, message)])


def child_at(root: Node, path: Sequence[str]) -> Node | None:
    """The node at `path`; None where nothing was written there."""
    found: Node | None = root
    for step in path:
        if isinstance(found, Entries):
            found = found.values.get(step)
        elif isinstance(found, Items) and step.isdecimal() and int(step) < len(found.items):
            found = found.items[int(step)]
        else:
            return None
    return found


def node_at(root: Node, path: Sequence[str]) -> Node:
    """The deepest node on `path` that was written."""
    nodes = (child_at(root, path[:length]) for length in range(len(path), 0, -1))
    return next((node for node in nodes if node is not None), root)
