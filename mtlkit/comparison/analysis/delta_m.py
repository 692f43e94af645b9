"""Delta-m: relative improvement over a baseline, in percent, averaged over tasks.

Maninis, Radosavovic and Kokkinos, Attentive Single-Tasking of Multiple Tasks (CVPR 2019): the
mean over tasks of (-1)^l (M_method - M_baseline) / M_baseline, with l = 1 if lower is better.
**Positive is better**, as in that paper; some later papers flip the sign.

Differences are taken seed by seed, and divided by the baseline's mean over these seeds. So the
mean over seeds equals the formula applied to the means, as papers print it, and a seed with a bad
baseline weighs no more than another.
"""

import math
from collections.abc import Sequence

from mtlkit.comparison.results.record import TaskMetric
from mtlkit.comparison.results.study_results import SeedScores


def delta_m(
    method: SeedScores, baseline: SeedScores, tasks: Sequence[TaskMetric]
) -> dict[int, float]:
    """Return delta-m by seed, in percent, over the seeds that both have; empty if undefined.

    It is undefined if the baseline's mean is zero or negative, which happens with R².

    >>> tasks = [
    ...     TaskMetric(problem="p", task="pose", metric="pose/accuracy", higher_is_better=True),
    ...     TaskMetric(problem="p", task="age", metric="age/error", higher_is_better=False),
    ... ]
    >>> delta_m({0: {"pose": 0.6, "age": 4.0}}, {0: {"pose": 0.5, "age": 5.0}}, tasks)
    {0: 20.0}
    """
    every = [task_delta(method, baseline, judged) for judged in tasks]
    if not every or not all(every):
        return {}
    return {seed: math.fsum(task[seed] for task in every) / len(every) for seed in every[0]}


def worthless(baseline: SeedScores, tasks: Sequence[TaskMetric]) -> list[str]:
    """Return the tasks whose mean over the baseline's seeds leaves `delta_m` undefined."""
    means = {j.task: math.fsum(seed[j.task] for seed in baseline.values()) for j in tasks}
    return [task for task, total in means.items() if baseline and total <= 0]


def task_delta(method: SeedScores, baseline: SeedScores, judged: TaskMetric) -> dict[int, float]:
    """Return one task's part of `delta_m` by seed, in percent of the mean; higher is better."""
    seeds = [seed for seed in method if seed in baseline]
    if not seeds:
        return {}
    mean = math.fsum(baseline[seed][judged.task] for seed in seeds) / len(seeds)
    if mean <= 0:
        return {}
    sign = 100.0 if judged.higher_is_better else -100.0
    return {
        seed: sign * (method[seed][judged.task] - baseline[seed][judged.task]) / mean
        for seed in seeds
    }
