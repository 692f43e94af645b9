"""Checks of the data before the first run, and the metrics of its tasks."""

import attrs
from torch import Tensor

from mtlkit.assembly import assembly_of, encode_targets
from mtlkit.comparison.results.record import TaskMetric
from mtlkit.comparison.spec.comparison import Compared, Comparison, PrimaryMetric
from mtlkit.data.dataset import Data
from mtlkit.data.source import Loading
from mtlkit.errors import DataError
from mtlkit.metrics.base import Metric
from mtlkit.metrics.chance_level import chance_level


def metrics_of(comparison: Comparison, loading: Loading) -> list[TaskMetric]:
    """Return the metrics of all tasks of all problems, after checking their data.

    Loading fills the cache of a source that has one, so the data is rendered once and not by
    every worker. Raise `DataError` if the data is insufficient for the comparison.
    """
    metrics = []
    for name, problem in comparison.problems.items():
        data = problem.recipe.data.load(attrs.evolve(loading, base=problem.base))
        require_splits(name, data, comparison)
        metrics += task_metrics_of(name, problem, data)
    return metrics


def task_metrics_of(name: str, problem: Compared, data: Data) -> list[TaskMetric]:
    """Return the metrics of each task of the problem, the primary one first with its chance level.

    That is the value of predicting the commonest class, or the mean, of the training labels for
    these labels. A task whose primary metric the comparison states has no other metrics, nor does a
    metric count that may be negative, of which a relative improvement has no meaning. Raise
    `DataError` if a task cannot be measured on the test split.
    """
    tasks = problem.recipe.tasks
    assembly = assembly_of(data, tasks)
    targets = encode_targets(data.train, tasks, assembly)
    metrics = []
    for task, value in tasks.items():
        stated = problem.primary_metrics.get(task)
        others: tuple[Metric, ...] = ()
        if stated is None:
            others = tuple(
                metric
                for metric in value.measured_by
                if metric is not value.primary_metric and metric.bounds[0] >= 0
            )
            _require_test_label(name, task, value.target or task, data)
            stated = PrimaryMetric(metric=f"{task}/{value.primary_metric.name}")
        metric, owner = stated.declared_by(tasks), stated.metric.partition("/")[0]
        labels, level = targets.get(owner), None
        if metric is not None and isinstance(labels, Tensor):  # others are read on access
            level = chance_level(metric, labels, assembly.targets[owner])
        metrics.append(
            TaskMetric(
                problem=name,
                task=task,
                metric=stated.metric,
                higher_is_better=stated.direction(tasks),
                unit="" if metric is None else metric.unit,
                chance_level=level,
            )
        )
        metrics += [
            TaskMetric(
                problem=name,
                task=task,
                metric=f"{task}/{other.name}",
                higher_is_better=other.higher_is_better,
                unit=other.unit,
                primary=False,
            )
            for other in others
        ]
    return metrics


def _require_test_label(name: str, task: str, label: str, data: Data) -> None:
    advice = f"name another metric: `problems: {{{name}: {{primary_metrics: {{{task}: METRIC}}}}}}`"
    if label in data.open_labels:
        raise DataError(
            f"problems.{name}: the label {label!r} of the task {task!r} has test values unseen in "
            f"training; {advice}"
        )
    if data.test is None or not data.test.column(label).present().any():
        raise DataError(
            f"problems.{name}: no test sample has the label {label!r} of the task {task!r}; "
            f"{advice}"
        )


def require_splits(name: str, data: Data, comparison: Comparison) -> None:
    """Raise `DataError` if a split that the comparison needs is missing."""
    if data.test is None:
        raise DataError(
            f"problems.{name}: the data has no test split, and methods are compared on one; set a "
            f"part aside for it in the data's options"
        )
    if not comparison.tuning.searches:
        return
    if data.validation is None:
        raise DataError(
            f"problems.{name}: the trials of a search are judged on the validation split, and this "
            f"data has none; set a part aside for it in the data's options, or use `trials: 1`"
        )
    for task, value in comparison.problems[name].recipe.tasks.items():
        if not data.validation.column(value.target or task).present().any():
            raise DataError(
                f"problems.{name}: no validation sample has a label of the task {task!r}, so "
                f"nothing can be chosen for it; divide the samples otherwise, or use `trials: 1`"
            )
