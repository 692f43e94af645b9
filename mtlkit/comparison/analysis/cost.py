"""Cost of methods: time of a step and memory, relative to equal weights."""

import math
from collections.abc import Sequence

import attrs

from mtlkit.comparison.results.record import Budget, Record
from mtlkit.comparison.results.study_results import StudyResults


@attrs.frozen(kw_only=True)
class TrainingCost:
    """Cost of the fastest seed; with one network per task, the sum over the networks.

    Other load on the machine only slows a run down, so the fastest run measures the cost best.
    `relative` is the time of a step divided by that of equal weights; None if that is unknown.
    """

    step_seconds: float
    relative: float | None
    seconds: float  # of training
    epochs: int
    peak_memory_bytes: int
    parameters: int


def costs(study: StudyResults, problem: str, budget: Budget) -> dict[str, TrainingCost]:
    """Return the cost of each method that has a final run."""
    by_method = {}
    for method in study.methods:
        by_task: dict[str | None, list[Record]] = {}
        for record in study.finals(problem, method, budget):
            if record.steps:
                by_task.setdefault(record.task, []).append(record)
        if by_task:
            by_method[method] = _cost(list(by_task.values()))
    equal = by_method.get(study.baseline("equal") or "")
    if equal is None or not equal.step_seconds:
        return by_method
    return {
        method: attrs.evolve(cost, relative=cost.step_seconds / equal.step_seconds)
        for method, cost in by_method.items()
    }


def _cost(networks: Sequence[Sequence[Record]]) -> TrainingCost:
    """Return the cost of networks that together cover all tasks, each with several seeds."""
    fastest = [
        (
            min(record.seconds / record.steps for record in runs),
            min(record.seconds for record in runs),
            runs[-1].parameters,
        )
        for runs in networks
    ]
    every = [record for runs in networks for record in runs]
    return TrainingCost(
        step_seconds=math.fsum(step for step, _, _ in fastest),
        relative=None,
        seconds=math.fsum(seconds for _, seconds, _ in fastest),
        epochs=max(record.epochs for record in every),
        peak_memory_bytes=max(record.peak_memory_bytes for record in every),
        parameters=sum(parameters for _, _, parameters in fastest),
    )
