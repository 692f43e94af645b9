"""Weights and gradient cosines over training, thinned for display."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from mtlkit.comparison.results.record import Budget
from mtlkit.comparison.results.study_results import StudyResults
from mtlkit.errors import RunError
from mtlkit.loggers.events import StepEvent
from mtlkit.runs.logs import read_log
from mtlkit.runs.storage.folder import RunFolder

POINTS = 120
"""Maximum number of points of a curve."""

Curve = tuple[tuple[float, float], ...]
"""(epoch, value)."""


@attrs.frozen(kw_only=True)
class Traces:
    """The curves of one run: weights by loss term, cosines by pair of tasks."""

    seed: int
    weights: Mapping[str, Curve]
    cosines: Mapping[str, Curve]


def read_traces(
    folder: Path, study: StudyResults, problem: str, budget: Budget
) -> tuple[dict[str, Traces], list[str]]:
    """Return the curves of each method's first seed, and messages about unreadable logs.

    Methods that train each task alone are omitted, since they do not weigh losses.
    """
    by_method, unread = {}, []
    for method in study.methods:
        runs = [r for r in study.finals(problem, method, budget) if r.task is None and r.folder]
        if not runs:
            continue
        first = min(runs, key=lambda record: record.seed)
        try:
            events = read_log(RunFolder(folder / first.folder))
        except RunError as cause:
            unread.append(f"{method}: {cause}".replace(str(folder), folder.name))
            continue
        steps = [event for event in events if isinstance(event, StepEvent)]
        if steps:
            by_method[method] = Traces(
                seed=first.seed,
                weights=_curves(steps, [step.weights for step in steps]),
                cosines=_curves(steps, [step.gradient_cosines for step in steps]),
            )
    return by_method, unread


def _curves(steps: Sequence[StepEvent], values: Sequence[Mapping[str, float]]) -> dict[str, Curve]:
    names = dict.fromkeys(name for mapping in values for name in mapping)
    return {
        name: _thinned(
            [(s.epoch, v[name]) for s, v in zip(steps, values, strict=True) if name in v]
        )
        for name in names
    }


def _thinned(points: Sequence[tuple[float, float]]) -> Curve:
    """Return evenly spaced points, including the last one.

    >>> len(_thinned([(x, x) for x in range(1000)])) <= POINTS
    True
    """
    every = -(-len(points) // POINTS) or 1
    return tuple(points[::-1][::every][::-1])
