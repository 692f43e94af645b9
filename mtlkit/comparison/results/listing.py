"""The runs and studies below a folder, filtered by options and sorted by metrics."""

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import attrs

from mtlkit.atomic_files import TEMPORARY
from mtlkit.comparison.results.differences import flat_yaml
from mtlkit.comparison.results.store import StudyFolder
from mtlkit.errors import MtlkitError, RunError, did_you_mean
from mtlkit.report.evaluation import Evaluation, MetricScale, read_metrics
from mtlkit.runs.storage.changes import require_recipe
from mtlkit.runs.storage.folder import RunFolder, State, Status, open_run, read_json
from mtlkit.runs.storage.lock import is_locked
from mtlkit.training.saved_steps import saved_steps

TYPE = ".type"
DAMAGED = "damaged"


@attrs.frozen(kw_only=True)
class ListedRun:
    """A run or a study: its path, its state and its metrics.

    `progress` is the step of a run up to its last checkpoint or its end, and the number of steps.
    `options` are those of its recipe by their paths; `headlines` are the metrics to show first.
    """

    path: Path
    kind: str
    state: str
    what: str
    progress: str = ""
    options: Mapping[str, str] = attrs.field(factory=dict)
    metrics: Mapping[str, float] = attrs.field(factory=dict)
    scales: Mapping[str, MetricScale] = attrs.field(factory=dict)
    headlines: tuple[str, ...] = ()
    seconds: float = 0.0
    date: datetime
    report: Path

    def option(self, path: str) -> str | None:
        """Return the option at `path`; for a component, its name: ``weighting`` is ``dynamic``."""
        value = self.options.get(path)
        if value is None and f"{path}{TYPE}" in self.options:
            value = self.options[f"{path}{TYPE}"].partition("@")[0]
        return value

    def metric(self, name: str) -> float | None:
        """Return the metric `name`; without a split, that of the test split or else validation."""
        full_name = self._full_name(name)
        return None if full_name is None else self.metrics[full_name]

    def is_higher_better(self, name: str) -> bool:
        """Return the direction of the metric `name`; False if it declares none."""
        scale = self.scales.get(self._full_name(name) or "")
        return scale is not None and scale.higher_is_better

    def _full_name(self, name: str) -> str | None:
        names = (name, f"test/{name}", f"validation/{name}")
        return next((full_name for full_name in names if full_name in self.metrics), None)


def list_runs(folder: Path, *, inside: bool = False) -> list[ListedRun]:
    """Return runs and studies below `folder`, the newest last; `inside`: also runs of studies."""
    if not folder.is_dir():
        raise RunError(f"{folder}: is not a folder; expected one with runs below it")
    return sorted(_found(folder, inside), key=lambda run: run.date)


def _found(folder: Path, inside: bool) -> Iterator[ListedRun]:
    for name, below, files in os.walk(folder):
        path = Path(name)
        below[:] = [child for child in below if not child.startswith(TEMPORARY)]
        if "study.json" in files and _is_study(StudyFolder(path)):
            yield _as_found(path, "study")
            below[:] = ["runs"] if inside and "runs" in below else []
        elif "recipe.yaml" in files and "provenance.json" in files:
            yield _as_found(path, "run")
            below.clear()


def _is_study(folder: StudyFolder) -> bool:
    """Return whether it is a study of a comparison or a damaged one; plugins write others."""
    try:
        return "fixed" in read_json(folder.study)
    except (MtlkitError, OSError):
        return True


def _as_found(path: Path, kind: str) -> ListedRun:
    """Return the run or study at `path`, in the state `DAMAGED` if its files are unreadable."""
    try:
        return _study(StudyFolder(path)) if kind == "study" else _run(open_run(path))
    except Exception:  # one damaged run must not hide the others
        report = StudyFolder(path).report if kind == "study" else RunFolder(path).report
        date = _changed(path)
        return ListedRun(path=path, kind=kind, state=DAMAGED, what="?", date=date, report=report)


def _run(folder: RunFolder) -> ListedRun:
    require_recipe(folder, read_json(folder.provenance))
    # a run that was killed at its start has no status yet
    begun = Status(state=State.RUNNING)
    status = folder.status() if folder.status_file.exists() else begun
    dead = status.state is State.RUNNING and not is_locked(folder.path)
    state = "killed" if dead else status.state.value
    if state == State.RUNNING.value:
        state += f" (pid {status.pid} on {status.host})"
    step = max([status.step, *saved_steps(folder.checkpoints, status.steps)])
    evaluation = Evaluation()
    if folder.evaluation.exists():
        evaluation = read_metrics(read_json(folder.evaluation))
    options = flat_yaml(folder.recipe)
    return ListedRun(
        path=folder.path,
        kind="run",
        state=state,
        what=options.get("weighting.type", "?").partition("@")[0],
        progress=f"{step} of {status.steps}" if status.steps else f"{step or ''}",
        options=options,
        metrics=evaluation.metrics,
        scales=evaluation.scales,
        headlines=evaluation.headlines,
        seconds=status.seconds,
        date=_changed(folder.provenance, folder.status_file),
        report=folder.report,
    )


def _study(folder: StudyFolder) -> ListedRun:
    study, records = read_json(folder.study), folder.records().values()
    failed = sum(record.error is not None for record in records)
    runs, ended = study["runs"], len(records)
    state = "finished" if ended >= runs else f"{ended} of {runs} runs"
    state = "running" if is_locked(folder.path) else state
    return ListedRun(
        path=folder.path,
        kind="study",
        state=f"{state}, {failed} failed" if failed else state,
        what=f"{len(study['methods'])} methods, {', '.join(study['problems'])}",
        seconds=sum(record.seconds for record in records),
        date=_changed(folder.study, folder.results),
        report=folder.report,
    )


def _changed(*files: Path) -> datetime:
    """Return when the newest of `files` changed; 1970 if that is unreadable or not a date."""
    try:
        newest = max(file.stat().st_mtime for file in files if file.exists())
        return datetime.fromtimestamp(newest).astimezone()
    except (OSError, ValueError, OverflowError):
        return datetime.fromtimestamp(0).astimezone()


def filter_runs(
    runs: Sequence[ListedRun], where: Mapping[str, str], state: str | None, sort: str | None
) -> list[ListedRun]:
    """Return those of `runs` whose options match `where` and whose state contains `state`.

    They are sorted by the metric `sort`, the best first, or the lowest if it declares no direction;
    those without it come last. Raises `RunError` for an option or a metric that none of them has.
    """
    for path in where:
        if runs and all(run.option(path) is None for run in runs):
            known = {name for run in runs for name in run.options}
            known |= {name.removesuffix(TYPE) for name in known if name.endswith(TYPE)}
            raise RunError(f"no run has the option {path!r}{did_you_mean(path, known)}")
    if sort is not None and runs and all(run.metric(sort) is None for run in runs):
        known = {name for run in runs for name in run.metrics}
        raise RunError(f"no run has the metric {sort!r}{did_you_mean(sort, known)}")
    kept = [
        run
        for run in runs
        if all(run.option(path) == value for path, value in where.items())
        and (state is None or state in run.state)
    ]
    if sort is None:
        return kept

    def order(one: ListedRun) -> tuple[bool, float]:
        value = one.metric(sort)
        if value is None:
            return True, 0.0
        return False, -value if one.is_higher_better(sort) else value

    return sorted(kept, key=order)
