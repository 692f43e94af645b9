"""Checks of loss terms that several weightings share."""

from collections.abc import Iterable, Mapping, Sequence

from mtlkit.component import Problem
from mtlkit.task_types import LossTerm, Role


def _main_and_side(terms: Sequence[LossTerm], what: str) -> Iterable[Problem]:
    """A problem where there is no main task, or no side task to share a total."""
    if all(term.role is not Role.MAIN for term in terms):
        yield Problem(
            ("weighting",), f"{what} need a main task and found none; give one task `role: main`"
        )
    if all(term.role is not Role.SIDE for term in terms):
        yield Problem(
            ("weighting",),
            f"{what} divide a total among side tasks and found none; "
            f"use `equal` for main tasks alone",
        )


def _strangers(
    named: Mapping[str, float], terms: Sequence[LossTerm], option: str
) -> Iterable[Problem]:
    """A problem for each name that no loss has."""
    names = [term.name for term in terms]
    for name in named:
        if name not in names:
            yield Problem(
                ("weighting", option, name),
                f"no loss is named {name!r}; the losses are {', '.join(names)}",
            )
