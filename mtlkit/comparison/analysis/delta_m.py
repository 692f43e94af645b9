"""Delta-m: how much better a method is than a baseline, in percent, averaged over tasks.

Maninis, Radosavovic and Kokkinos, Attentive Single-Tasking of Multiple Tasks (CVPR 2019): the
mean over tasks of (-1)^l (M_method - M_baseline) / M_baseline, with l = 1 where lower is better.
**Positive is better** here, as there; some later papers turn the sign.

Differences are taken seed by seed, and divided by the baseline's mean over these seeds. So the
mean over seeds is the formula applied to the means, as papers print it, and no seed in which the
baseline did badly weighs more than another.
"""

import math
from collections.abc import Sequence

from mtlkit.comparison.results.record import TaskMetric
from mtlkit.comparison.results.study_results import SeedScores


def delta_m(
    method: SeedScores, baseline: SeedScores, tasks: Sequence[TaskMetric]
) -> dict[int, float]:
    """Delta-m by seed, in percent, over the seeds that both have; empty where it has no meaning.

    It has none where the baseline's mean is zero or negative, as that of R² may be: a share of it
    says nothing.

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
    """The tasks whose mean over the baseline's seeds is such that `delta_m` has no meaning."""
    means = {j.task: math.fsum(seed[j.task] for seed in baseline.values()) for j in tasks}
    return [task for task, total in means.items() if baseline and total <= 0]


def task_delta(method: SeedScores, baseline: SeedScores, judged: TaskMetric) -> dict[int, float]:
    """The part of one task in `delta_m`: by seed, in percent of the baseline's mean, better up."""
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
