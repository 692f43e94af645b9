"""Every error that mtlkit raises on purpose.

A message says the place, what was found, what was expected and what to do next. Each class carries
its data as attributes, so that a program can read the failure as well as a person.
"""

import difflib
from collections.abc import Iterable, Sequence


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a message that suggests the nearest of the `known` words, if one is near.

    >>> did_you_mean("totl", ["total", "form"]), did_you_mean("speed", ["total"])
    ("; did you mean 'total'?", '')
    """
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


class MtlkitError(Exception):
    """The parent of every error a user can act on; the command line prints it and exits with 2."""


class ComponentError(MtlkitError):
    """A component could not be had by its name."""

    def __init__(self, message: str, *, family: str, name: str) -> None:
        super().__init__(message)
        self.family = family
        self.name = name


class UnknownComponentError(ComponentError):
    """No component of the family has this name; the message suggests the nearest names."""


class NotInstalledError(ComponentError):
    """The name belongs to a plugin that is known but not installed."""


class LoadFailedError(ComponentError):
    """The component is registered, but importing it raised; the cause is chained."""


class IncompatibleError(ComponentError):
    """The plugin that owns the name was made for a plugin API this mtlkit does not speak."""


class DuplicateNameError(MtlkitError):
    """Two owners registered one name; both are named."""


class InvalidNameError(MtlkitError):
    """A name breaks the naming rule, or lies outside the namespace of its plugin."""


class DataError(MtlkitError):
    """The data cannot be used: a missing file, an unreadable image, a label out of place."""


class AssemblyError(MtlkitError):
    """The parts of a recipe, each right by itself, do not fit together."""


class RunError(MtlkitError):
    """A run folder cannot be used, or a run cannot go on."""


class NotFiniteError(RunError):
    """A loss became NaN or infinite; training stopped before the update was made."""

    def __init__(
        self, message: str, *, step: int, tasks: Sequence[str], ids: Sequence[str]
    ) -> None:
        super().__init__(message)
        self.step = step
        self.tasks = tuple(tasks)
        self.ids = tuple(ids)


class InterruptedRunError(RunError):
    """The user stopped the run; a checkpoint was written and the message says how to resume."""


class ImplementationError(MtlkitError):
    """An implementation of an op was chosen that does not exist or cannot run; it says why."""


class MissingExtraError(MtlkitError):
    """A part needs an optional package; the message names the extra that brings it."""


class RecipeError(MtlkitError):
    """One or more mistakes in a recipe, all reported at once, one line each."""

    def __init__(self, lines: Sequence[str]) -> None:
        count = "1 mistake" if len(lines) == 1 else f"{len(lines)} mistakes"
        super().__init__("\n".join([*lines, f"{count}, nothing was run"]))
        self.lines = tuple(lines)
