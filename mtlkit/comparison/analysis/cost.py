"""What methods cost: time of a step and memory, beside equal weights."""

import math
from collections.abc import Sequence

import attrs

from mtlkit.comparison.results.record import Budget, Record
from mtlkit.comparison.results.study_results import StudyResults


@attrs.frozen(kw_only=True)
class TrainingCost:
    """The time of the fastest seed; of networks trained one for each task, of all together.

    Other work on the machine only ever slows a run down, so the fastest one tells the cost best.
    `relative` is the time of a step in those of equal weights, None where they have none.
    """

    step_seconds: float
    relative: float | None
    seconds: float  # of training
    epochs: int
    peak_memory_bytes: int
    parameters: int


def costs(study: StudyResults, problem: str, budget: Budget) -> dict[str, TrainingCost]:
    """The cost of each method that has a final run."""
    found = {}
    for method in study.methods:
        by_task: dict[str | None, list[Record]] = {}
        for record in study.finals(problem, method, budget):
            if record.steps:
                by_task.setdefault(record.task, []).append(record)
        if by_task:
            found[method] = _cost(list(by_task.values()))
    equal = study.baseline("equal")
    if equal not in found:
        return found
    unit = found[equal].step_seconds or math.inf
    return {
        method: attrs.evolve(cost, relative=cost.step_seconds / unit if unit < math.inf else None)
        for method, cost in found.items()
    }


def _cost(networks: Sequence[Sequence[Record]]) -> TrainingCost:
    """The cost of networks that together know all tasks, each trained with several seeds."""
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
