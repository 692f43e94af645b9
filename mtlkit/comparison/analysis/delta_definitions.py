"""The two definitions of delta-m over several metrics of each task, as papers print them.

Maninis, Radosavovic and Kokkinos, Attentive Single-Tasking of Multiple Tasks (CVPR 2019) average
over tasks; Liu, Liu, Jin, Stone and Liu, Conflict-Averse Gradient Descent (NeurIPS 2021) and
Navon et al., Multi-Task Learning as a Bargaining Game (ICML 2022) average over metrics and change
the sign. On several metrics of each task, the two may rank methods differently.
"""

import math
from collections.abc import Mapping

Metrics = Mapping[str, Mapping[str, bool]]
"""By task: its metrics, and whether higher is better."""


def relative_gains(
    method: Mapping[str, float], baseline: Mapping[str, float], metrics: Mapping[str, bool]
) -> dict[str, float]:
    """Return the relative gain of each metric over the baseline, in percent; positive is better.

    It is NaN for a baseline of 0.

    >>> relative_gains({"miou": 0.75, "error": 4.0}, {"miou": 0.5, "error": 5.0},
    ...                {"miou": True, "error": False})
    {'miou': 50.0, 'error': 20.0}
    """
    return {
        name: (100.0 if higher else -100.0) * (method[name] - baseline[name]) / baseline[name]
        if baseline[name]
        else math.nan
        for name, higher in metrics.items()
    }


def delta_by_task(
    method: Mapping[str, float], baseline: Mapping[str, float], tasks: Metrics
) -> float:
    """Return the mean over tasks of the mean gain of their metrics; **higher is better**.

    >>> tasks = {"depth": {"abs": False, "rel": False}, "classes": {"miou": True}}
    >>> baseline = {"abs": 1.0, "rel": 2.0, "miou": 1.0}
    >>> delta_by_task({"abs": 1.0, "rel": 1.0, "miou": 1.25}, baseline, tasks)
    25.0
    """
    means = [
        math.fsum(gains.values()) / len(gains)
        for gains in (relative_gains(method, baseline, metrics) for metrics in tasks.values())
    ]
    return math.fsum(means) / len(means)


def delta_by_metric(
    method: Mapping[str, float], baseline: Mapping[str, float], tasks: Metrics
) -> float:
    """Return the mean loss over all metrics of all tasks, in percent; **lower is better**.

    >>> tasks = {"depth": {"abs": False, "rel": False}, "classes": {"miou": True}}
    >>> baseline = {"abs": 1.0, "rel": 2.0, "miou": 1.0}
    >>> delta_by_metric({"abs": 1.0, "rel": 1.0, "miou": 1.25}, baseline, tasks)
    -25.0
    """
    every = {name: higher for metrics in tasks.values() for name, higher in metrics.items()}
    gains = relative_gains(method, baseline, every)
    return -math.fsum(gains.values()) / len(gains)
