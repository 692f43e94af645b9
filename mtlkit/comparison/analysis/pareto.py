"""Methods relative to the Pareto front of constant weights.

The trials of tuned scalarization are the sweep. All points are of the validation split, which the
search uses; a method's point is the mean over the seeds of its final runs, a trial's is one run.
"""

import math
from collections.abc import Mapping, Sequence

import attrs
import moocore
import numpy as np

from mtlkit.comparison.results.record import Budget, TaskMetric
from mtlkit.comparison.results.study_results import StudyResults

MARGIN = 0.1
"""Distance of the reference point beyond the worst value, as a fraction of the range."""

Point = Mapping[str, float]
"""Metrics by task."""


@attrs.frozen(kw_only=True)
class Trade:
    """A problem's sweep and its methods, as points over all tasks.

    `volumes` are fractions of the box from the reference point to the best value of each task: the
    part that a method's point dominates. `gains` are the increases over that of the sweep, which
    is `sweep_volume`.
    """

    tasks: tuple[TaskMetric, ...]
    sweep: tuple[Point, ...]
    methods: Mapping[str, Point]
    reference: Point
    volumes: Mapping[str, float]
    gains: Mapping[str, float]
    sweep_volume: float


def trade(study: StudyResults, problem: str, budget: Budget) -> Trade | None:
    """Return the trade between the tasks of a problem; None with one task or no result."""
    tasks = study.tasks(problem)
    methods = {}
    for name in study.methods:
        scores = study.scores(problem, name, budget, validation=True)
        if scores:
            methods[name] = {
                j.task: math.fsum(s[j.task] for s in scores.values()) / len(scores) for j in tasks
            }
    if len(tasks) < 2 or not methods:
        return None
    sweep = _sweep(study, problem, tasks)
    reference, box = {}, 1.0
    for judged in tasks:
        values = [point[judged.task] for point in (*sweep, *methods.values())]
        best, worst = max(values), min(values)
        if not judged.higher_is_better:
            best, worst = worst, best
        reference[judged.task] = worst - MARGIN * (best - worst)
        box *= abs(best - reference[judged.task])

    def share(points: Sequence[Point]) -> float:
        return hypervolume(points, tasks, reference) / box if box else 0.0

    before = share(sweep)
    return Trade(
        tasks=tasks,
        sweep=sweep,
        methods=methods,
        reference=reference,
        volumes={name: share([point]) for name, point in methods.items()},
        gains={name: share([*sweep, point]) - before for name, point in methods.items()},
        sweep_volume=before,
    )


def front(points: Sequence[Point], tasks: Sequence[TaskMetric]) -> tuple[Point, ...]:
    """Return the points that no other point dominates on `tasks`, in order of the first task.

    >>> up = [TaskMetric(problem="p", task=t, metric=t, higher_is_better=True) for t in "ab"]
    >>> front([{"a": 1, "b": 3}, {"a": 2, "b": 2}, {"a": 1, "b": 1}], up)
    ({'a': 1, 'b': 3}, {'a': 2, 'b': 2})
    """
    if not points:
        return ()
    upward = [judged.higher_is_better for judged in tasks]
    kept = moocore.is_nondominated(_array(points, tasks), maximise=upward)
    undominated = [point for point, keep in zip(points, kept, strict=True) if keep]
    return tuple(sorted(undominated, key=lambda point: point[tasks[0].task]))


def hypervolume(points: Sequence[Point], tasks: Sequence[TaskMetric], reference: Point) -> float:
    """Return the volume between `points` and the `reference` point, in the units of the tasks.

    >>> up = [TaskMetric(problem="p", task=t, metric=t, higher_is_better=True) for t in "ab"]
    >>> hypervolume([{"a": 1, "b": 3}, {"a": 2, "b": 2}], up, {"a": 0, "b": 0})
    5.0
    """
    if not points:
        return 0.0
    upward = [judged.higher_is_better for judged in tasks]
    corner = [float(reference[judged.task]) for judged in tasks]
    return float(moocore.hypervolume(_array(points, tasks), ref=corner, maximise=upward))


def _sweep(study: StudyResults, problem: str, tasks: Sequence[TaskMetric]) -> tuple[Point, ...]:
    tuned = study.baseline("tuned")
    records = [] if tuned is None else study.trials_of(problem, tuned)
    return tuple(
        {judged.task: record.validation[judged.metric] for judged in tasks}
        for record in records
        if record.error is None and all(judged.metric in record.validation for judged in tasks)
    )


def _array(points: Sequence[Point], tasks: Sequence[TaskMetric]) -> np.ndarray:
    return np.array([[point[judged.task] for judged in tasks] for point in points], dtype=float)
