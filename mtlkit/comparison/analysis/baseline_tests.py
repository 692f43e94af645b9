"""Every method against every baseline, seed by seed, as one family of tests.

The family is all pairs of a method and a baseline (equal weights, tuned scalarization,
single-task) on all problems, and on their mean if there are several: the chance of *one or more*
false differences in a study stays at 5% (Holm, 1979).
"""

import functools
import math
from collections.abc import Mapping, Sequence

import attrs

from mtlkit.comparison.analysis.delta_m import MetricDeltas, mean_delta, metric_deltas
from mtlkit.comparison.analysis.statistics import ALPHA, holm, paired_test, student_mean
from mtlkit.comparison.results.record import Budget, TaskMetric
from mtlkit.comparison.results.study_results import StudyResults
from mtlkit.report.blocks import Estimate

VERDICT_BASELINES = ("equal", "tuned", "single-task")
"""Baselines of the verdict, by role, in the order in which it mentions them."""

PLACEBO = "rlw"

EVERY_PROBLEM = "all problems"
"""The name of the mean over problems."""


@attrs.frozen(kw_only=True)
class TaskDifference:
    """Difference of a comparison on one task, in percent of the baseline's mean."""

    task: str
    estimate: Estimate
    p_value: float  # adjusted (Holm) over the tasks of the comparison


@attrs.frozen(kw_only=True)
class PairedComparison:
    """A method against a baseline: delta-m of each seed in percent, higher is better."""

    problem: str
    method: str
    reference: str
    differences: tuple[float, ...]
    p_value: float  # of Student's paired test, unadjusted
    adjusted: float  # for the family (Holm)
    by_task: Mapping[str, tuple[float, ...]] = attrs.field(factory=dict)  # means over its metrics
    left_out: tuple[str, ...] = ()  # metrics that are not part of delta-m

    @functools.cached_property
    def tasks(self) -> tuple[TaskDifference, ...]:
        """The difference on each task, adjusted (Holm) over the tasks of this pair."""
        adjusted = holm([paired_test(values) for values in self.by_task.values()])
        return tuple(
            TaskDifference(task=task, estimate=student_mean(values), p_value=p_value)
            for (task, values), p_value in zip(self.by_task.items(), adjusted, strict=True)
        )

    @functools.cached_property
    def estimate(self) -> Estimate:
        """The mean with Student's interval."""
        return student_mean(self.differences)

    @property
    def shown(self) -> bool:
        """True if the difference is significant within the family."""
        return self.adjusted < ALPHA

    @property
    def better(self) -> bool:
        """True if the method is significantly better."""
        return self.shown and math.fsum(self.differences) > 0

    @property
    def worse(self) -> bool:
        """True if the method is significantly worse."""
        return self.shown and math.fsum(self.differences) < 0

    @property
    def verdict(self) -> str:
        """The word for the difference: better, worse or undecided."""
        return "better" if self.better else "worse" if self.worse else "undecided"


@attrs.frozen(kw_only=True)
class ComparisonFamily:
    """The comparisons of a study within one budget, adjusted together."""

    budget: Budget
    comparisons: tuple[PairedComparison, ...]

    @functools.cached_property
    def _by_pair(self) -> dict[tuple[str, str, str], PairedComparison]:
        return {(c.problem, c.method, c.reference): c for c in self.comparisons}

    def of(self, problem: str, method: str, reference: str) -> PairedComparison | None:
        """Return the comparison of a pair in its tested direction; None if there is none."""
        return self._by_pair.get((problem, method, reference))

    def against(self, problem: str, reference: str) -> tuple[PairedComparison, ...]:
        """Return all comparisons with one baseline on a problem."""
        return tuple(
            c for c in self.comparisons if c.problem == problem and c.reference == reference
        )

    @property
    def alpha(self) -> float:
        """The significance level of the first test of the family."""
        return ALPHA / max(1, len(self.comparisons))


def compare_all(study: StudyResults, budget: Budget) -> ComparisonFamily:
    """Return the family of the verdict, of all pairs with two or more seeds in common."""
    roles = [study.baseline(role) for role in VERDICT_BASELINES]
    return _family(study, budget, [role for role in roles if role is not None])


def compare_with_placebo(study: StudyResults, budget: Budget) -> ComparisonFamily:
    """Return all methods against random weights, a separate family that only yields a warning.

    The warning claims no difference, so it must not make the adjustment of the verdict stricter.
    """
    placebo = study.baseline(PLACEBO)
    return _family(study, budget, [] if placebo is None else [placebo])


def _family(study: StudyResults, budget: Budget, references: Sequence[str]) -> ComparisonFamily:
    rows = []
    for problem in study.problems:
        metrics = study.metrics(problem)
        scores = {name: study.metric_scores(problem, name, budget) for name in study.methods}
        for method, reference in _pairs(study.methods, references):
            parts = metric_deltas(scores[method], scores[reference], metrics)
            seeds = mean_delta(parts)
            if len(seeds) > 1:
                rows.append((problem, method, reference, seeds, parts))
    if len(study.problems) > 1:
        rows += _over_problems(study, rows)
    p_values = [paired_test(tuple(seeds.values())) for *_, seeds, _ in rows]
    known = {problem: study.metrics(problem) for problem in (*study.problems, EVERY_PROBLEM)}
    return ComparisonFamily(
        budget=budget,
        comparisons=tuple(
            PairedComparison(
                problem=problem,
                method=method,
                reference=reference,
                differences=tuple(seeds.values()),
                p_value=p_value,
                adjusted=adjusted,
                by_task=_by_task(parts, known[problem]),
                left_out=tuple(m.metric for m in known[problem] if m.metric not in parts),
            )
            for (problem, method, reference, seeds, parts), p_value, adjusted in zip(
                rows, p_values, holm(p_values), strict=True
            )
        ),
    )


def _pairs(methods: Sequence[str], references: Sequence[str]) -> list[tuple[str, str]]:
    """Return each pair once: of two baselines, the later one is the method."""
    return [
        (method, reference)
        for place, reference in enumerate(references)
        for method in methods
        if method not in references[: place + 1]
    ]


_Found = tuple[str, str, str, dict[int, float], MetricDeltas]


def _over_problems(study: StudyResults, rows: Sequence[_Found]) -> list[_Found]:
    """Return the mean of delta-m over the problems by seed, for pairs that every problem has."""
    by_pair: dict[tuple[str, str], list[dict[int, float]]] = {}
    for _, method, reference, seeds, _ in rows:
        by_pair.setdefault((method, reference), []).append(seeds)
    means: list[_Found] = []
    for (method, reference), every in by_pair.items():
        common = [seed for seed in every[0] if all(seed in values for values in every)]
        if len(every) == len(study.problems) and len(common) > 1:
            mean = {
                seed: math.fsum(values[seed] for values in every) / len(every) for seed in common
            }
            means.append((EVERY_PROBLEM, method, reference, mean, {}))
    return means


def _by_task(parts: MetricDeltas, metrics: Sequence[TaskMetric]) -> dict[str, tuple[float, ...]]:
    """Return the mean of each task's metrics in `parts`, by seed."""
    tasks: dict[str, dict[str, Mapping[int, float]]] = {}
    for metric in metrics:
        if metric.metric in parts:
            tasks.setdefault(metric.task, {})[metric.metric] = parts[metric.metric]
    return {task: tuple(mean_delta(mine).values()) for task, mine in tasks.items()}
