"""Checks of loss terms shared by several weightings."""

from collections.abc import Iterable, Mapping, Sequence

from mtlkit.component import Problem
from mtlkit.task_types import LossTerm, Role


def main_and_side_problems(terms: Sequence[LossTerm], name: str) -> Iterable[Problem]:
    """Yield a problem if no term is a main task or no term is a side task."""
    if all(term.role is not Role.MAIN for term in terms):
        yield Problem(
            ("weighting",),
            f"got no main task, expected at least 1 for {name}; give one task `role: main`",
        )
    if all(term.role is not Role.SIDE for term in terms):
        yield Problem(
            ("weighting",),
            f"got no side task, expected at least 1 for {name}; use `equal` for main tasks only",
        )


def single_gate_notes(terms: Sequence[LossTerm], name: str) -> Iterable[Problem]:
    """Yield a note if there is only one side task, whose gated weight is a constant."""
    sides = [term.name for term in terms if term.role is Role.SIDE]
    if len(sides) == 1:
        yield Problem(
            ("weighting",),
            f"{name} divides `total` among the side tasks, and {sides[0]!r} is the only one, so "
            f"its weight is constant; use `equal` with a `total`, or add a side task",
        )


def heavy_side_notes(terms: Sequence[LossTerm], total: float | None) -> Iterable[Problem]:
    """Yield a note if the weight `total` of the side tasks is that of the main tasks or more.

    The loss of a main task with many classes and few samples of each falls late. Until then the
    side tasks shape the shared features, and the main task may stay near chance level.
    """
    mains = [term.name for term in terms if term.role is Role.MAIN]
    if total is not None and mains and total >= len(mains):
        yield Problem(
            ("weighting", "total"),
            f"the side tasks share the weight {total:g}, and {', '.join(mains)} "
            f"{'has' if len(mains) == 1 else 'have'} {len(mains)}. A main task whose classes have "
            f"few samples may stay near chance level; compare with the `total` of 0.1 of Yin & "
            f"Liu (TIP 2018), and with the main task alone",
        )


def unknown_names(
    values: Mapping[str, float], terms: Sequence[LossTerm], option: str
) -> Iterable[Problem]:
    """Yield a problem for each key of `values` that is not the name of a loss."""
    names = [term.name for term in terms]
    for name in values:
        if name not in names:
            yield Problem(
                ("weighting", option, name),
                f"got {name!r}, expected the name of a loss ({', '.join(names)})",
            )
