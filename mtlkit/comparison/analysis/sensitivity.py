"""Sensitivity of a method's score to its learning rate, and the settings its search chose."""

import statistics
from collections.abc import Mapping, Sequence

import attrs

from mtlkit.comparison.results.record import Record, Stage
from mtlkit.comparison.results.study_results import StudyResults

RATE = "lr"
"""Last part of the path of a learning rate in a recipe."""

Setting = float | int | str | bool


@attrs.frozen(kw_only=True)
class Sensitivity:
    """The trials of a method over the learning rate: (rate, score), lower is better.

    `failed` are the rates of failed trials.
    """

    points: tuple[tuple[float, float], ...]
    failed: tuple[float, ...]

    @property
    def best(self) -> tuple[float, float] | None:
        """The rate with the lowest score, and that score."""
        return min(self.points, key=lambda point: point[1], default=None)

    @property
    def loss_of_median(self) -> float | None:
        """Excess of the median trial over the best, in percent of the best's score.

        >>> Sensitivity(points=((0.1, 1.0), (0.2, 1.5), (0.4, 4.0)), failed=()).loss_of_median
        50.0
        """
        if self.best is None or self.best[1] <= 0:
            return None
        median = statistics.median(score for _, score in self.points)
        return 100.0 * (median / self.best[1] - 1.0)


def sensitivities(study: StudyResults, problem: str) -> dict[str, Sensitivity]:
    """Return sensitivities by method, or method and task, if the learning rate was searched."""
    by_name: dict[str, list[Record]] = {}
    for method in study.methods:
        for record in study.trials_of(problem, method):
            by_name.setdefault(_name(record), []).append(record)
    every = {name: _sensitivity(records) for name, records in by_name.items()}
    return {name: one for name, one in every.items() if one.points or one.failed}


def _name(record: Record) -> str:
    return record.method if record.task is None else f"{record.method}: {record.task}"


def _sensitivity(records: Sequence[Record]) -> Sensitivity:
    points, failed = [], []
    for record in records:
        for path, value in record.settings.items():
            if path.rpartition(".")[2] == RATE and isinstance(value, int | float):
                if record.error is None and record.score is not None:
                    points.append((float(value), record.score))
                else:
                    failed.append(float(value))
    return Sensitivity(points=tuple(sorted(points)), failed=tuple(sorted(failed)))


def chosen_settings(study: StudyResults, problem: str) -> dict[str, Mapping[str, Setting]]:
    """Return the settings that each search chose, from final runs, by method or method and task."""
    by_name: dict[str, Mapping[str, Setting]] = {}
    for record in study.records:
        if record.stage is Stage.FINAL and record.problem == problem and record.settings:
            by_name.setdefault(_name(record), record.settings)
    order = {method: place for place, method in enumerate(study.methods)}
    return dict(sorted(by_name.items(), key=lambda item: order.get(item[0].split(": ")[0], 0)))
