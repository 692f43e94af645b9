"""Estimate of the time of a comparison, from a few steps of each method on each problem."""

import statistics
import time
from collections.abc import Mapping

import attrs
import torch

from mtlkit.comparison.execute.plan import MethodJob, method_jobs, planned
from mtlkit.comparison.results.record import Budget, Record, Stage
from mtlkit.comparison.spec.comparison import Comparison
from mtlkit.data.source import Loading
from mtlkit.runs.untrained import untrained_updater

STEPS = 3
"""Timed steps, after one untimed warm-up step."""


@attrs.frozen(kw_only=True)
class TimeEstimate:
    """The runs of a method on a problem, over all tasks, and their seconds with one worker.

    `left` is the number of runs that a study has not recorded yet.
    """

    problem: str
    method: str
    trials: int
    finals: int
    left: int
    seconds: float


def estimate(
    comparison: Comparison, known: Mapping[str, Record], loading: Loading
) -> list[TimeEstimate]:
    """Return the time of each method on each problem, by its records or else by a few steps.

    Nothing is written except rendered data in the cache.
    """
    costs = _costs(comparison, known, loading)
    every, estimates = planned(comparison), []
    for problem in comparison.problems:
        for method in comparison.methods:
            mine = (problem, method.name)
            runs = [record for record in every if (record.problem, record.method) == mine]
            left = [record for record in runs if record.key not in known]
            # in the time budget all networks of a method together get the time of `equal`
            networks = len({record.task for record in runs})
            equal = costs.get((problem, "equal", None), 0.0)
            seconds = sum(
                equal / networks
                if record.budget is Budget.TIME
                else costs[problem, method.name, record.task]
                for record in left
            )
            trials = sum(record.stage is Stage.TRIAL for record in runs)
            estimates.append(
                TimeEstimate(
                    problem=problem,
                    method=method.name,
                    trials=trials,
                    finals=len(runs) - trials,
                    left=len(left),
                    seconds=seconds,
                )
            )
    return estimates


Costs = dict[tuple[str, str, str | None], float]
"""Seconds of a run, by problem, method and task."""


def _costs(comparison: Comparison, known: Mapping[str, Record], loading: Loading) -> Costs:
    seconds: dict[tuple[str, str, str | None], list[float]] = {}
    for record in known.values():
        if record.error is None and record.budget is Budget.EPOCHS:
            key = record.problem, record.method, record.task
            seconds.setdefault(key, []).append(record.seconds)
    costs: Costs = {}
    for method_job in method_jobs(comparison):
        key = method_job.problem, method_job.method.name, method_job.task
        base = comparison.problems[method_job.problem].base
        mean = statistics.fmean(seconds.get(key, [0.0]))
        costs[key] = mean or probe(method_job, attrs.evolve(loading, base=base))
    return costs


def probe(method_job: MethodJob, loading: Loading) -> float:
    """Return the estimated training seconds of a run of `method_job`, from a few of its steps."""
    recipe = method_job.recipe
    before = torch.get_num_threads()
    stated = recipe.train.threads
    torch.set_num_threads(stated if isinstance(stated, int) else before)
    try:
        updater = untrained_updater(recipe, loading)
        updater.update(0)
        start = time.perf_counter()
        for step in range(1, STEPS + 1):
            updater.update(step)
        return (time.perf_counter() - start) / STEPS * updater.steps
    finally:
        torch.set_num_threads(before)
