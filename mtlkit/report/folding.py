"""Mean and range of numbers of many tasks, in place of each number."""

import math
from collections.abc import Mapping

import attrs

from mtlkit.task_types import FOLD_ABOVE

MEAN = "mean"
"""The first part of the names of metrics that are means over tasks."""


@attrs.frozen
class Fold:
    """Mean, lowest and highest of the finite numbers of `count` tasks, and the tasks of the two."""

    count: int
    mean: float
    lowest: float
    lowest_task: str
    highest: float
    highest_task: str

    def text(self) -> str:
        """Return the fold on one line.

        >>> fold({"a": 1.0, "b": 3.0}).text()
        'of 2 tasks: mean 2, from 1 (a) to 3 (b)'
        """
        return (
            f"of {self.count} tasks: mean {self.mean:.4g}, from {self.lowest:.4g} "
            f"({self.lowest_task}) to {self.highest:.4g} ({self.highest_task})"
        )


def fold(values: Mapping[str, float]) -> Fold | None:
    """Return the fold of the numbers of tasks by their names; None if none is finite.

    >>> fold({"a": math.nan}) is None
    True
    """
    finite = {name: value for name, value in values.items() if math.isfinite(value)}
    if not finite:
        return None
    low, high = min(finite, key=finite.__getitem__), max(finite, key=finite.__getitem__)
    mean = sum(finite.values()) / len(finite)
    return Fold(len(finite), mean, finite[low], low, finite[high], high)


def by_kind(metrics: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Return metrics such as ``pose/accuracy`` by kind and task; a name without a slash is a task.

    Means over tasks are left out.

    >>> by_kind({"a/loss": 1.0, "b/loss": 2.0, "mean/loss": 1.5})
    {'loss': {'a': 1.0, 'b': 2.0}}
    """
    kinds: dict[str, dict[str, float]] = {}
    for name, value in metrics.items():
        task, _, kind = name.partition("/")
        if task != MEAN or not kind:
            kinds.setdefault(kind, {})[task] = value
    return kinds


def folded_text(values: Mapping[str, float]) -> str:
    """Return numbers by name on one line; a kind of more than ten tasks is folded.

    >>> folded_text({"a/loss": 1.0, "b/loss": 2.5})
    'a/loss 1 b/loss 2.5'
    """
    kinds = by_kind(values)
    if all(len(of_tasks) <= FOLD_ABOVE for of_tasks in kinds.values()):
        return " ".join(f"{name} {value:.4g}" for name, value in values.items())
    texts = []
    for kind, of_tasks in kinds.items():
        folded = fold(of_tasks)
        if len(of_tasks) <= FOLD_ABOVE or folded is None:
            ending = f"/{kind}" if kind else ""
            texts += [f"{task}{ending} {value:.4g}" for task, value in of_tasks.items()]
        else:
            texts.append(f"{kind} {folded.text()}".strip())
    return "; ".join(texts)
