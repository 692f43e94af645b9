"""The validation metric on which callbacks decide."""

import math
from collections.abc import Iterable, Mapping

import attrs

from mtlkit.component import Problem
from mtlkit.errors import did_you_mean
from mtlkit.report.folding import MEAN
from mtlkit.task import Task, shared_metrics
from mtlkit.task_types import Role


@attrs.frozen
class MonitoredMetric:
    """A metric of the validation split by name, such as ``pose/accuracy``, and its direction.

    >>> MonitoredMetric("pose/accuracy", higher_is_better=True).improves(0.9, over=0.8)
    True
    """

    name: str
    higher_is_better: bool

    def improves(self, value: float, over: float, by: float = 0.0) -> bool:
        """Return whether `value` is better than `over` by more than `by`; NaN is never better."""
        if math.isnan(over):  # the first value
            return not math.isnan(value)
        gain = value - over if self.higher_is_better else over - value
        return gain > by


def monitored_metric(name: str | None, tasks: Mapping[str, Task]) -> MonitoredMetric:
    """Return the metric called `name`; None means the primary metric of the only main task.

    Without a main task, the recipe must have a single task. Raises `ValueError` if there is no such
    metric, or no single one.
    """
    directions = {f"{task}/loss": False for task in tasks}
    for task, value in tasks.items():
        directions |= {f"{task}/{m.name}": m.higher_is_better for m in value.measured_by}
    shared = shared_metrics(tasks).items()
    directions |= {f"{MEAN}/{name}": metric.higher_is_better for name, metric in shared}
    if name is None:
        main = [task for task, value in tasks.items() if value.role is Role.MAIN] or list(tasks)
        primary = [f"{task}/{tasks[task].primary_metric.name}" for task in main]
        if len(primary) > 1:
            raise ValueError(
                f"got none, and {len(main)} tasks to decide on; "
                f"expected one of {', '.join(primary)}"
            )
        name = primary[0]
    if name not in directions:
        hint = did_you_mean(name, directions) or f"; expected one of {', '.join(directions)}"
        raise ValueError(f"no metric of the validation split is named {name!r}{hint}")
    return MonitoredMetric(name, directions[name])


def metric_problems(name: str | None, tasks: Mapping[str, Task]) -> Iterable[Problem]:
    """Yield the mistake in the option `metric` of a callback, if there is one."""
    try:
        monitored_metric(name, tasks)
    except ValueError as cause:
        yield Problem(("metric",), str(cause))
