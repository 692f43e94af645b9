"""The results of a study so far: its records, by problem, method, task, budget and seed.

A study may be unfinished and its runs may have failed; missing numbers are never filled in.
"""

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import yaml

from mtlkit.comparison.results.record import Budget, Record, Stage, TaskMetric
from mtlkit.comparison.results.store import StudyFolder, require_whole_study
from mtlkit.errors import RunError
from mtlkit.runs.storage.folder import read_json

BASELINE_ROLES = ("single-task", "equal", "log", "tuned", "rlw")
"""The baselines, which every study has unless it gives a reason to omit one."""

SeedScores = Mapping[int, Mapping[str, float]]
"""A method's metrics: by seed, then by task or by the name of the metric."""


@attrs.frozen(kw_only=True)
class StudyResults:
    """A study as read from its files.

    Methods are compared by `primary_metrics`, one for each task, and `other_metrics`. `records` has
    the last record of each run, so that a run that failed and was repeated counts once. `without`
    has the reason for each omitted baseline.
    """

    name: str
    methods: tuple[str, ...]
    problems: tuple[str, ...]
    seeds: tuple[int, ...]
    primary_metrics: tuple[TaskMetric, ...]
    records: tuple[Record, ...]
    other_metrics: tuple[TaskMetric, ...] = ()
    budgets: tuple[Budget, ...] = (Budget.EPOCHS,)
    trials: int = 0
    reference: Mapping[str, str] = attrs.field(factory=dict)  # names of the baselines, by role
    without: Mapping[str, str] = attrs.field(factory=dict)
    machine: Mapping[str, str] = attrs.field(factory=dict)
    selection: str = ""
    relevant: float = 1.0  # the smallest delta-m of practical interest, in percent

    def baseline(self, role: str) -> str | None:
        """Return the method in the `role` of a baseline; None if the study has none."""
        name = self.reference.get(role, role)
        return name if name in self.methods else None

    def tasks(self, problem: str) -> tuple[TaskMetric, ...]:
        """Return the primary metric of each task of the problem."""
        return tuple(metric for metric in self.primary_metrics if metric.problem == problem)

    def metrics(self, problem: str) -> tuple[TaskMetric, ...]:
        """Return all metrics of the problem's tasks, by task, the primary one first."""
        every = (*self.primary_metrics, *self.other_metrics)
        tasks = [metric.task for metric in self.tasks(problem)]
        mine = [metric for metric in every if metric.problem == problem]
        return tuple(sorted(mine, key=lambda metric: tasks.index(metric.task)))

    def finals(self, problem: str, method: str, budget: Budget) -> tuple[Record, ...]:
        """Return the final runs of the method that succeeded."""
        return tuple(
            record
            for record in self._by_method.get((problem, method), ())
            if record.stage is Stage.FINAL and record.budget is budget and record.error is None
        )

    def trials_of(self, problem: str, method: str) -> tuple[Record, ...]:
        """Return the trials of the method's search, including failed ones."""
        records = self._by_method.get((problem, method), ())
        return tuple(record for record in records if record.stage is Stage.TRIAL)

    def scores(
        self, problem: str, method: str, budget: Budget, *, validation: bool = False
    ) -> SeedScores:
        """Return the primary metrics of the seeds for which those of all tasks are known."""
        tasks = self.tasks(problem)
        by_seed: dict[int, dict[str, float]] = {}
        for record in self.finals(problem, method, budget):
            metrics = record.validation if validation else record.test
            for task in tasks:
                if task.metric in metrics and record.task in (None, task.task):
                    by_seed.setdefault(record.seed, {})[task.task] = metrics[task.metric]
        return {seed: by_seed[seed] for seed in sorted(by_seed) if len(by_seed[seed]) == len(tasks)}

    def metric_scores(self, problem: str, method: str, budget: Budget) -> SeedScores:
        """Return the metrics of all tasks by their names, of the seeds in `scores`."""
        metrics, by_seed = self.metrics(problem), self.scores(problem, method, budget)
        every: dict[int, dict[str, float]] = {seed: {} for seed in by_seed}
        for record in self.finals(problem, method, budget):
            for metric in metrics if record.seed in every else ():
                if metric.metric in record.test and record.task in (None, metric.task):
                    every[record.seed][metric.metric] = record.test[metric.metric]
        return every

    def failed(self) -> tuple[Record, ...]:
        """Return the runs that failed."""
        return tuple(record for record in self.records if record.error is not None)

    def missing(self) -> dict[str, int]:
        """Return the number of runs that have not ended yet, by stage; empty if complete."""
        finals = trials = 0
        for problem in self.problems:
            for method in self.methods:
                alone = self._runs_each(problem, method)
                records = self._by_method.get((problem, method), ())
                ended = sum(1 for record in records if record.stage is Stage.FINAL)
                finals += max(0, alone * len(self.seeds) * len(self.budgets) - ended)
                trials += max(0, alone * self.trials - (len(records) - ended))
        counts = {"trials": trials, "final runs": finals}
        return {name: count for name, count in counts.items() if count}

    def _runs_each(self, problem: str, method: str) -> int:
        return len(self.tasks(problem)) if method == self.baseline("single-task") else 1

    @functools.cached_property
    def _by_method(self) -> dict[tuple[str, str], list[Record]]:
        by_pair: dict[tuple[str, str], list[Record]] = {}
        for record in self.records:
            by_pair.setdefault((record.problem, record.method), []).append(record)
        return by_pair


def read_study(folder: Path) -> StudyResults:
    """Return the results in `folder`; `RunError` if it does not hold a study."""
    place = folder / "study.json"
    if not place.exists():
        raise RunError(f"{place}: is missing; expected the folder of a study")
    try:
        value = read_json(place)
        require_whole_study(folder, value)
        return StudyResults(
            name=folder.absolute().name,
            methods=tuple(dict.fromkeys(value["methods"])),
            problems=tuple(value["problems"]),
            seeds=tuple(value["seeds"]),
            primary_metrics=tuple(TaskMetric(**metric) for metric in value["primary_metrics"]),
            other_metrics=tuple(TaskMetric(**metric) for metric in value.get("other_metrics", ())),
            records=tuple(StudyFolder(folder).records().values()),
            budgets=tuple(Budget(name) for name in value["budgets"]),
            trials=value["trials"],
            reference=value["reference"],
            without=_without(folder, value),
            machine=dict(_flat(value.get("machine", {}))),
            selection=value.get("selection", ""),
            relevant=float(value.get("relevant", 1.0)),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as cause:
        raise RunError(f"{place}: does not describe a study: {cause!r}") from cause


def _without(folder: Path, value: Mapping[str, Any]) -> dict[str, str]:
    """Return the reasons for omitted baselines, from the study or else its comparison file."""
    if "without" in value:
        return dict(value["without"] or {})
    file = folder / "comparison.yaml"
    if not file.exists():
        return {}
    comparison: Any = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    return {str(name): str(reason) for name, reason in (comparison.get("without") or {}).items()}


def _flat(value: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, item in value.items():
        if isinstance(item, Mapping):
            yield from _flat(item)
        else:
            yield name, str(item)
