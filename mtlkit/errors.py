"""Exceptions of mtlkit.

A message has the form ``PLACE: got X, expected Y; do Z``. Exceptions carry their data as
attributes.
"""

import difflib
import importlib
from collections.abc import Iterable, Sequence
from typing import Any

SHOWN = 10
"""Number of words or lines that a message lists before it counts the rest."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the end of a message that suggests the closest of the `known` words, or "".

    >>> did_you_mean("totl", ["total", "form"]), did_you_mean("speed", ["total"])
    ("; did you mean 'total'?", '')
    """
    near = nearest(word, known)
    return f"; did you mean {near!r}?" if near else ""


def nearest(word: str, known: Iterable[str], *, any_start: bool = False) -> str:
    """Return the closest of the `known` words without regard to case, or "".

    Words that start with another letter are left out unless `any_start`.

    >>> nearest("CaGrad", ["CAGrad", "PCGrad"]), nearest("Mmoe", ["MTAN"])
    ('CAGrad', '')
    """
    words, folded = {name.casefold(): name for name in known}, word.casefold()
    for match in difflib.get_close_matches(folded, list(words)):
        # no typo replaces the first letter
        if any_start or folded[0] in match[:2] or match[0] in folded[:2]:
            return words[match]
    return ""


def shortened(words: Sequence[str], count: int | None = None) -> str:
    """Join the words, at most `SHOWN` of them; they may be the first of `count` words.

    >>> shortened(["a", "b"])
    'a, b'
    """
    count = len(words) if count is None else count
    more = f", ... ({count} in all)" if count > SHOWN else ""
    return ", ".join(words[:SHOWN]) + more


def error_text(cause: BaseException, longest: int = 400) -> str:
    r"""Return the type and the message of `cause` on one line, even if its ``__str__`` raises.

    >>> error_text(ValueError("two\nlines")), error_text(KeyError())
    ('ValueError: two lines', 'KeyError: (no message)')
    """
    try:
        message = " ".join(str(cause).split())[:longest] or "(no message)"
    except BaseException as failure:  # an exception of a plugin, whose `__str__` may raise anything
        message = f"(its message cannot be shown: {type(failure).__name__})"
    return f"{type(cause).__name__}: {message}"


class MtlkitError(Exception):
    """Base class of errors that a user can fix; the command line prints them.

    A message is one line, or several that are given one by one.
    """

    exit_code = 2
    """Exit code of a command that raises the error."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.message_lines = lines

    def lines_at(self, place: str) -> list[str]:
        """Return the lines of the message, of which the first begins with `place`.

        >>> MtlkitError("two faults:", "  a", "  b").lines_at("data")
        ['data: two faults:', '  a', '  b']
        """
        first, *others = self.message_lines or ("",)
        return [f"{place}: {first}", *others]


class ComponentError(MtlkitError):
    """A component is unavailable under the given name."""

    def __init__(self, message: str, *, family: str, name: str) -> None:
        super().__init__(message)
        self.family = family
        self.name = name


class UnknownComponentError(ComponentError):
    """No component of the family has this name; the message suggests similar names."""


class NotInstalledError(ComponentError):
    """The name belongs to a plugin that is not installed or is disabled."""


class LoadFailedError(ComponentError):
    """The component is registered, but importing it raised; the cause is chained."""


class IncompatibleError(ComponentError):
    """The plugin of the name was built for a plugin API that this version does not support."""


class DuplicateNameError(MtlkitError):
    """Two owners registered the same name; the message names both."""


class InvalidNameError(MtlkitError):
    """A name violates the naming rule, or is outside the namespace of its plugin."""


class DataError(MtlkitError):
    """The data cannot be used: a missing file, an unreadable image, an invalid label."""


class AssemblyError(MtlkitError):
    """The parts of a recipe are individually valid but do not fit together."""


class RunError(MtlkitError):
    """A run folder cannot be used, or a run cannot continue."""


class NotFiniteError(RunError):
    """A loss became NaN or infinite; training stopped before the update."""

    def __init__(
        self, message: str, *, step: int, tasks: Sequence[str] = (), ids: Sequence[str] = ()
    ) -> None:
        super().__init__(message)
        self.step = step
        self.tasks = tuple(tasks)
        self.ids = tuple(ids)


class InterruptedRunError(RunError):
    """A run or a study was stopped, or lost a process. The message explains how to resume."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: repeat later


class ImplementationError(MtlkitError):
    """The selected implementation of an op does not exist or cannot run."""


class MissingExtraError(MtlkitError):
    """A part needs an optional package; the message names the extra that installs it."""


def import_extra(module: str, purpose: str, package: str, extra: str) -> Any:
    """Return a module of an optional package; raise `MissingExtraError` if it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as cause:
        raise MissingExtraError(
            f"{purpose} needs {package}, which is not installed; run `pip install "
            f"'mtlkit[{extra}]'`"
        ) from cause


class RecipeError(MtlkitError):
    """One or more mistakes in a recipe, reported together, one per line."""

    def __init__(self, lines: Sequence[str]) -> None:
        count = "1 mistake" if len(lines) == 1 else f"{len(lines)} mistakes"
        super().__init__(*lines, f"{count}, nothing was run")
        self.lines = tuple(lines)
