"""The means of a study, for a first look in a terminal."""

import statistics
from collections.abc import Iterable

from mtlkit.comparison.results.record import Budget, Record, TaskMetric
from mtlkit.comparison.results.store import StudyFolder
from mtlkit.comparison.results.study_results import read_study


def summary(folder: StudyFolder) -> list[list[tuple[str, ...]]]:
    """Return a table for each problem, with the mean over seeds of each task's metric by method.

    Only runs of the epochs budget count; their number is in brackets. The first row is the header.
    """
    study = read_study(folder.path)
    tables = []
    for problem in study.problems:
        primary = study.tasks(problem)
        rows = [(problem, *(metric.metric for metric in primary))]
        for method in study.methods:
            finals = study.finals(problem, method, Budget.EPOCHS)
            rows.append((f"  {method}", *(_mean(finals, metric) for metric in primary)))
        tables.append(rows)
    return tables


def _mean(records: Iterable[Record], metric: TaskMetric) -> str:
    known = [r.test for r in records if r.task in (None, metric.task)]
    values = [test[metric.metric] for test in known if metric.metric in test]
    return f"{statistics.fmean(values):.4g} ({len(values)})" if values else "-"
