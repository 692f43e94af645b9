"""The means of a study, for a first look in a terminal."""

import statistics

from mtlkit.comparison.results.record import Budget, Record, Stage, TaskMetric
from mtlkit.comparison.results.store import StudyFolder
from mtlkit.runs.storage.folder import read_json


def summary(folder: StudyFolder) -> list[list[tuple[str, ...]]]:
    """Return a table for each problem, with the mean over seeds of each task's metric by method.

    Only runs of the epochs budget count; their number is in brackets. The first row is the header.
    """
    study = read_json(folder.study)
    metrics = [TaskMetric(**metric) for metric in study["primary_metrics"]]
    records = [r for r in folder.records().values() if r.stage is Stage.FINAL and r.error is None
               and r.budget is Budget.EPOCHS]  # fmt: skip
    tables = []
    for problem in study["problems"]:
        primary = [metric for metric in metrics if metric.problem == problem]
        rows = [(problem, *(metric.metric for metric in primary))]
        for method in study["methods"]:
            finals = [r for r in records if (r.problem, r.method) == (problem, method)]
            rows.append((f"  {method}", *(_mean(finals, metric) for metric in primary)))
        tables.append(rows)
    return tables


def _mean(records: list[Record], metric: TaskMetric) -> str:
    known = [r.test for r in records if r.task in (None, metric.task)]
    values = [test[metric.metric] for test in known if metric.metric in test]
    return f"{statistics.fmean(values):.4g} ({len(values)})" if values else "-"
