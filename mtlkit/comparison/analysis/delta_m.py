"""Delta-m: relative improvement over a baseline, in percent, averaged over the tasks' metrics.

The metric-wise definition of Liu, Liu, Jin, Stone and Liu, Conflict-Averse Gradient Descent
(NeurIPS 2021): the mean over all metrics of all tasks of (-1)^l (M_method - M_baseline) /
M_baseline, with l = 1 if lower is better. **Positive is better**, as in Maninis, Radosavovic and
Kokkinos (CVPR 2019), whose mean over tasks it equals if each task has one metric; `delta_by_metric`
has the opposite sign.

Differences are taken seed by seed, and divided by the baseline's mean over these seeds. So the
mean over seeds equals the formula applied to the means, as papers print it, and a seed with a bad
baseline weighs no more than another.
"""

import math
from collections.abc import Mapping, Sequence

from mtlkit.comparison.results.record import TaskMetric
from mtlkit.comparison.results.study_results import SeedScores

MetricDeltas = Mapping[str, Mapping[int, float]]
"""Parts of delta-m: by metric, then by seed, in percent; higher is better."""


def metric_deltas(
    method: SeedScores, baseline: SeedScores, metrics: Sequence[TaskMetric]
) -> MetricDeltas:
    """Return the parts of delta-m over the seeds that both have; empty if it is undefined.

    It is undefined if a primary metric's baseline mean is zero or negative, which happens with R².
    Another metric of which that is true, or that a seed lacks, is left out.
    """
    parts = {metric.metric: _deltas(method, baseline, metric) for metric in metrics}
    if not all(parts[metric.metric] for metric in metrics if metric.primary):
        return {}
    return {name: deltas for name, deltas in parts.items() if deltas}


def mean_delta(parts: MetricDeltas) -> dict[int, float]:
    """Return the mean over the metrics of `parts`, by seed; empty without any.

    >>> mean_delta({"pose/accuracy": {0: 20.0}, "age/error": {0: -10.0}})
    {0: 5.0}
    """
    seeds = next(iter(parts.values()), {})
    return {seed: math.fsum(part[seed] for part in parts.values()) / len(parts) for seed in seeds}


def delta_m(
    method: SeedScores, baseline: SeedScores, metrics: Sequence[TaskMetric]
) -> dict[int, float]:
    """Return delta-m by seed, in percent, over the seeds that both have; empty if undefined.

    Scores are by seed and by the name of the metric.

    >>> metrics = [
    ...     TaskMetric(problem="p", task="pose", metric="pose/accuracy", higher_is_better=True),
    ...     TaskMetric(problem="p", task="age", metric="age/mae", higher_is_better=False),
    ... ]
    >>> baseline = {0: {"pose/accuracy": 0.5, "age/mae": 5.0}}
    >>> delta_m({0: {"pose/accuracy": 0.6, "age/mae": 4.0}}, baseline, metrics)
    {0: 20.0}
    """
    return mean_delta(metric_deltas(method, baseline, metrics))


def worthless(baseline: SeedScores, metrics: Sequence[TaskMetric]) -> list[str]:
    """Return the tasks whose primary mean over the baseline's seeds leaves `delta_m` undefined."""
    means = {
        metric.task: math.fsum(seed[metric.metric] for seed in baseline.values())
        for metric in metrics
        if metric.primary
    }
    return [task for task, total in means.items() if baseline and total <= 0]


def _deltas(method: SeedScores, baseline: SeedScores, metric: TaskMetric) -> dict[int, float]:
    seeds, name = [seed for seed in method if seed in baseline], metric.metric
    if not seeds or not all(name in one[seed] for one in (method, baseline) for seed in seeds):
        return {}
    mean = math.fsum(baseline[seed][name] for seed in seeds) / len(seeds)
    if mean <= 0:
        return {}
    sign = 100.0 if metric.higher_is_better else -100.0
    return {seed: sign * (method[seed][name] - baseline[seed][name]) / mean for seed in seeds}
