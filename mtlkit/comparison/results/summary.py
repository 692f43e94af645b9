"""The means of a study, for a first look in a terminal."""

import statistics
from collections.abc import Iterator

from mtlkit.comparison.results.record import Budget, Record, Stage, TaskMetric
from mtlkit.comparison.results.store import StudyFolder
from mtlkit.runs.folder import read_json


def summary(folder: StudyFolder) -> list[list[tuple[str, ...]]]:
    """A table for each problem: a row for each method, the mean over seeds of each task's metric.

    Of runs of as many epochs, and in brackets how many they are; the first row is the header.
    """
    study = read_json(folder.study)
    metrics = [TaskMetric(**metric) for metric in study["primary_metrics"]]
    records = [r for r in folder.records().values() if r.stage is Stage.FINAL and r.error is None
               and r.budget is Budget.EPOCHS]  # fmt: skip
    tables = []
    for problem in study["problems"]:
        own = [metric for metric in metrics if metric.problem == problem]
        rows = [(problem, *(metric.metric for metric in own))]
        for method in study["methods"]:
            made = [r for r in records if (r.problem, r.method) == (problem, method)]
            rows.append((f"  {method}", *(_mean(list(_values(made, metric))) for metric in own)))
        tables.append(rows)
    return tables


def _values(records: list[Record], metric: TaskMetric) -> Iterator[float]:
    for record in records:
        if record.task in (None, metric.task) and metric.metric in record.test:
            yield record.test[metric.metric]


def _mean(values: list[float]) -> str:
    return f"{statistics.fmean(values):.4g} ({len(values)})" if values else "-"
