"""Locations in the text of a recipe, and mistakes reported at them."""

from collections.abc import Iterable

import attrs


@attrs.frozen
class SourceLocation:
    """A position in a file, or an argument of the command line, without lines.

    >>> str(SourceLocation("wrong.yaml", 2, 18)), str(SourceLocation("--set seed=x"))
    ('wrong.yaml:2:18', '--set seed=x')
    """

    source: str
    line: int = 0  # from 1; 0: the source as a whole
    column: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


@attrs.frozen
class Mistake:
    """One mistake in a recipe: its location, its path in the recipe, and the message.

    >>> str(Mistake(SourceLocation("r.yaml", 3, 7), "expected a number", ("optimizer", "lr")))
    'r.yaml:3:7: optimizer.lr: expected a number'
    """

    location: SourceLocation
    message: str
    path: tuple[str, ...] = ()

    def __str__(self) -> str:
        message = " ".join(self.message.split())  # a plugin's message may span lines
        parts = (str(self.location), ".".join(self.path), message)
        return ": ".join(filter(None, parts))

    def under(self, step: str) -> "Mistake":
        """Return the mistake with `step` prepended to its path."""
        return attrs.evolve(self, path=(step, *self.path))


class RefusedError(Exception):
    """A value with mistakes; the public functions turn it into a `RecipeError`."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(map(str, self.mistakes)))

    def lines(self) -> list[str]:
        """Return a line for each mistake: files in the order of their lines, then arguments."""

        def order(mistake: Mistake) -> tuple[bool, str, int, int]:
            at = mistake.location
            return (at.line == 0, at.source, at.line, at.column)

        return [str(mistake) for mistake in sorted(dict.fromkeys(self.mistakes), key=order)]


def refuse(location: SourceLocation, message: str) -> RefusedError:
    """Return the error for a single mistake."""
    return RefusedError([Mistake(location, message)])
