"""The means of a study, for a first look in a terminal."""

import statistics
from collections.abc import Iterator

from mtlkit.comparison.results.record import Budget, Judged, Record, Stage
from mtlkit.comparison.results.store import StudyFolder
from mtlkit.runs.folder import read_json


def summary(folder: StudyFolder) -> list[list[tuple[str, ...]]]:
    """A table for each problem: a row for each method, the mean over seeds of each task's metric.

    Of runs of as many epochs, and in brackets how many they are; the first row is the header.
    """
    study = read_json(folder.study)
    judges = [Judged(**judged) for judged in study["judged"]]
    records = [r for r in folder.records().values() if r.stage is Stage.FINAL and r.error is None
               and r.budget is Budget.EPOCHS]  # fmt: skip
    tables = []
    for problem in study["problems"]:
        own = [judged for judged in judges if judged.problem == problem]
        rows = [(problem, *(judged.metric for judged in own))]
        for method in study["methods"]:
            made = [r for r in records if (r.problem, r.method) == (problem, method)]
            rows.append((f"  {method}", *(_mean(list(_values(made, judged))) for judged in own)))
        tables.append(rows)
    return tables


def _values(records: list[Record], judged: Judged) -> Iterator[float]:
    for record in records:
        if record.task in (None, judged.task) and judged.metric in record.test:
            yield record.test[judged.metric]


def _mean(values: list[float]) -> str:
    return f"{statistics.fmean(values):.4g} ({len(values)})" if values else "-"
