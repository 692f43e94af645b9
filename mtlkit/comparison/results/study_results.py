"""What a study has found so far: its records, by problem, method, task, budget and seed.

A study may be unfinished and its runs may have failed; nothing here guesses a number that is not
there.
"""

import functools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import yaml

from mtlkit.comparison.results.record import Budget, Record, Stage, TaskMetric, read_results
from mtlkit.errors import RunError

BASELINE_ROLES = ("single-task", "equal", "log", "tuned", "rlw")
"""The baselines, which every study has unless it says why not."""

SeedScores = Mapping[int, Mapping[str, float]]
"""A method's metrics: by seed, then by task."""


@attrs.frozen(kw_only=True)
class StudyResults:
    """A study as its files tell it.

    `records` are the last of each run, so that a run that failed and was made again counts once.
    `without` says why a baseline was left out.
    """

    name: str
    methods: tuple[str, ...]
    problems: tuple[str, ...]
    seeds: tuple[int, ...]
    primary_metrics: tuple[TaskMetric, ...]
    records: tuple[Record, ...]
    budgets: tuple[Budget, ...] = (Budget.EPOCHS,)
    trials: int = 0
    reference: Mapping[str, str] = attrs.field(factory=dict)  # names of the baselines, by role
    without: Mapping[str, str] = attrs.field(factory=dict)
    machine: Mapping[str, str] = attrs.field(factory=dict)
    selection: str = ""
    relevant: float = 1.0  # the smallest delta-m worth knowing of, in percent

    def baseline(self, role: str) -> str | None:
        """The method that plays the `role` of a baseline; None where the study has none."""
        name = self.reference.get(role, role)
        return name if name in self.methods else None

    def tasks(self, problem: str) -> tuple[TaskMetric, ...]:
        """Return the primary metric of each task of the problem."""
        return tuple(metric for metric in self.primary_metrics if metric.problem == problem)

    def finals(self, problem: str, method: str, budget: Budget) -> tuple[Record, ...]:
        """The final runs of the method that ended well."""
        return tuple(
            record
            for record in self._by_method.get((problem, method), ())
            if record.stage is Stage.FINAL and record.budget is budget and record.error is None
        )

    def trials_of(self, problem: str, method: str) -> tuple[Record, ...]:
        """The trials of the method's search, failed ones too."""
        records = self._by_method.get((problem, method), ())
        return tuple(record for record in records if record.stage is Stage.TRIAL)

    def scores(
        self, problem: str, method: str, budget: Budget, *, validation: bool = False
    ) -> SeedScores:
        """Return the primary metrics of the seeds for which those of all tasks are known."""
        tasks = self.tasks(problem)
        found: dict[int, dict[str, float]] = {}
        for record in self.finals(problem, method, budget):
            metrics = record.validation if validation else record.test
            for task in tasks:
                if task.metric in metrics and record.task in (None, task.task):
                    found.setdefault(record.seed, {})[task.task] = metrics[task.metric]
        return {seed: found[seed] for seed in sorted(found) if len(found[seed]) == len(tasks)}

    def failed(self) -> tuple[Record, ...]:
        """The runs that ended badly."""
        return tuple(record for record in self.records if record.error is not None)

    def missing(self) -> dict[str, int]:
        """How many runs have not ended yet, by what they are; empty where the study is complete."""
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
        found: dict[tuple[str, str], list[Record]] = {}
        for record in self.records:
            found.setdefault((record.problem, record.method), []).append(record)
        return found


def read_study(folder: Path) -> StudyResults:
    """What the files in `folder` say; `RunError` where it is no study."""
    place = folder / "study.json"
    try:
        value = json.loads(place.read_text(encoding="utf-8"))
        results = folder / "results.jsonl"
        records = read_results(results) if results.exists() else []
        return StudyResults(
            name=folder.absolute().name,
            methods=tuple(dict.fromkeys(value["methods"])),
            problems=tuple(value["problems"]),
            seeds=tuple(value["seeds"]),
            primary_metrics=tuple(TaskMetric(**each) for each in value["primary_metrics"]),
            records=tuple({record.key: record for record in records}.values()),
            budgets=tuple(Budget(name) for name in value["budgets"]),
            trials=value["trials"],
            reference=value["reference"],
            without=_without(folder, value),
            machine=dict(_flat(value.get("machine", {}))),
            selection=value.get("selection", ""),
            relevant=float(value.get("relevant", 1.0)),
        )
    except FileNotFoundError:
        raise RunError(f"{place}: is missing; expected the folder of a study") from None
    except (ValueError, KeyError, TypeError, AttributeError) as cause:
        raise RunError(f"{place}: does not describe a study: {cause!r}") from cause


def _without(folder: Path, value: Mapping[str, Any]) -> dict[str, str]:
    """Why baselines were left out: as the study says, or else its comparison file."""
    if "without" in value:
        return dict(value["without"] or {})
    file = folder / "comparison.yaml"
    if not file.exists():
        return {}
    found: Any = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    return {str(name): str(reason) for name, reason in (found.get("without") or {}).items()}


def _flat(value: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, item in value.items():
        if isinstance(item, Mapping):
            yield from _flat(item)
        else:
            yield name, str(item)
