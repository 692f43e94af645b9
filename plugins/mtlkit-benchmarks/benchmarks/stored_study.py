"""A study whose records are stored with the sources, so that it can continue anywhere."""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
import click

from mtlkit import compare, load_catalog
from mtlkit.comparison import Comparison, ExecutorConfig, load_comparison
from mtlkit.comparison.execute.time_estimate import estimate
from mtlkit.comparison.report.write import write_reports
from mtlkit.comparison.results.record import Record, TaskMetric, record_to_line
from mtlkit.comparison.results.store import StudyFolder
from mtlkit.comparison.results.study_results import read_study
from mtlkit.data import Loading
from mtlkit.report.numbers import duration

FILES = Path(__file__).parent / "studies"
RESULTS = Path(__file__).parent / "results" / "studies"
RUNS = Path("runs/studies")
METADATA = ("study.json", "units.json", "comparison.yaml", "recipes")
REPORT = ("report.md", "figures")
DIGITS = 6
"""Significant digits of stored metrics; settings and scores, which later runs read, keep all."""


def load(name: str, data: Path) -> Comparison:
    """Return the comparison `name`, whose recipes find their data sets in the folder `data`."""
    comparison = load_comparison(FILES / f"{name}.yaml", load_catalog())
    problems = {
        key: attrs.evolve(problem, base=data.absolute())
        for key, problem in comparison.problems.items()
    }
    return attrs.evolve(comparison, problems=problems)


def run(name: str, data: Path, workers: int, *, retry_failed: bool = False) -> None:
    """Make the runs of the study that are missing, and store the records of all."""
    comparison, folder = load(name, data), RUNS / name
    restore(name)
    try:
        compare(comparison, folder, executor_config=ExecutorConfig(workers=workers),
                retry_failed=retry_failed)  # fmt: skip
    finally:
        if (folder / "units.json").exists():
            store(name)


def restore(name: str) -> None:
    """Copy the stored records to a new folder, from which the study continues."""
    if (RESULTS / name).exists() and not (RUNS / name).exists():
        shutil.copytree(RESULTS / name, RUNS / name, ignore=lambda _, names: set(REPORT) & {*names})


def store(name: str) -> None:
    """Write the records of the study and its report to the results."""
    folder = RUNS / name
    study = read_study(folder)
    with tempfile.TemporaryDirectory() as parent:
        copy = StudyFolder(Path(parent) / name)
        copy.path.mkdir()
        for item in METADATA:
            copy_item(folder / item, copy.path / item)
        metrics = (*study.primary_metrics, *study.other_metrics)
        lines = [record_to_line(compact(record, metrics)) for record in study.records]
        copy.results.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
        write_reports(copy.path)
        shutil.rmtree(RESULTS / name, ignore_errors=True)
        for item in (*METADATA, copy.results.name, *REPORT):
            if (copy.path / item).exists():  # a study without final runs has no figures
                copy_item(copy.path / item, RESULTS / name / item)


def copy_item(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)


def compact(record: Record, metrics: Sequence[TaskMetric]) -> Record:
    """Return the record with the `metrics` alone, and without its folder."""
    names = {metric.metric for metric in metrics}

    def kept(values: Mapping[str, float]) -> dict[str, float]:
        return {key: float(f"{value:.{DIGITS}g}") for key, value in values.items() if key in names}

    return attrs.evolve(
        record, folder="", seconds=round(record.seconds, 2),
        validation=kept(record.validation), test=kept(record.test),
    )  # fmt: skip


def print_estimate(name: str, data: Path) -> None:
    """Print the runs that are missing and their time, from the records or a few steps of each."""
    folder = next((p for p in (RUNS / name, RESULTS / name) if p.exists()), RUNS / name)
    rows = estimate(load(name, data), StudyFolder(folder).records(), Loading())
    count, left = sum(row.trials + row.finals for row in rows), sum(row.left for row in rows)
    seconds = sum(row.seconds for row in rows)
    click.echo(f"{name}: {left} of {count} runs left, about {duration(seconds)} of training")
