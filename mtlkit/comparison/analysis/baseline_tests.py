"""Every method against every baseline, seed by seed, as one family of tests.

The family is all pairs of a method and a baseline (equal weights, tuned scalarisation,
single-task) on all problems, and on their mean where there are several: the chance that *one or
more* of a study's differences is shown though there is none stays at 5% (Holm, 1979).
"""

import functools
import math
from collections.abc import Mapping, Sequence

import attrs

from mtlkit.comparison.analysis.delta_m import delta_m, task_delta
from mtlkit.comparison.analysis.statistics import ALPHA, holm, paired_test, student_mean
from mtlkit.comparison.results.record import Budget, TaskMetric
from mtlkit.comparison.results.study_results import SeedScores, StudyResults
from mtlkit.report.blocks import Estimate

VERDICT_BASELINES = ("equal", "tuned", "single-task")
"""What methods are judged against, by role, in the order in which a verdict speaks of them."""

PLACEBO = "rlw"

EVERY_PROBLEM = "all problems"
"""The name of the mean over problems."""


@attrs.frozen(kw_only=True)
class TaskDifference:
    """What a comparison comes to on one task, in percent of the baseline's mean."""

    task: str
    estimate: Estimate
    p_value: float  # adjusted (Holm) over the tasks of the comparison


@attrs.frozen(kw_only=True)
class PairedComparison:
    """A method against a baseline: delta-m of each seed in percent, better up."""

    problem: str
    method: str
    reference: str
    differences: tuple[float, ...]
    p_value: float  # of Student's paired test, as it is
    adjusted: float  # for the family (Holm)
    by_task: Mapping[str, tuple[float, ...]] = attrs.field(factory=dict)  # the parts of delta-m

    @functools.cached_property
    def tasks(self) -> tuple[TaskDifference, ...]:
        """What it comes to on each task, adjusted (Holm) over the tasks of this pair."""
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
        """Whether a difference is shown."""
        return self.adjusted < ALPHA

    @property
    def better(self) -> bool:
        """Whether the method is shown to be better."""
        return self.shown and math.fsum(self.differences) > 0

    @property
    def worse(self) -> bool:
        """Whether the method is shown to be worse."""
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
        """The comparison of a pair, in the direction in which it was made."""
        return self._by_pair.get((problem, method, reference))

    def against(self, problem: str, reference: str) -> tuple[PairedComparison, ...]:
        """All comparisons with one baseline on a problem."""
        return tuple(
            c for c in self.comparisons if c.problem == problem and c.reference == reference
        )

    @property
    def alpha(self) -> float:
        """The level that the first of the family's tests is held to."""
        return ALPHA / max(1, len(self.comparisons))


def compare_all(study: StudyResults, budget: Budget) -> ComparisonFamily:
    """The family of the verdict; a pair without two seeds in common is not in it."""
    roles = [study.baseline(role) for role in VERDICT_BASELINES]
    return _family(study, budget, [role for role in roles if role is not None])


def compare_with_placebo(study: StudyResults, budget: Budget) -> ComparisonFamily:
    """All methods against random weights: a family of its own, from which a warning comes alone.

    It is apart so that the warning, which claims no difference, makes no claim harder.
    """
    placebo = study.baseline(PLACEBO)
    return _family(study, budget, [] if placebo is None else [placebo])


def _family(study: StudyResults, budget: Budget, references: Sequence[str]) -> ComparisonFamily:
    found = []
    for problem in study.problems:
        tasks = study.tasks(problem)
        scores = {name: study.scores(problem, name, budget) for name in study.methods}
        for method, reference in _pairs(study.methods, references):
            seeds = delta_m(scores[method], scores[reference], tasks)
            if len(seeds) > 1:
                parts = _by_task(scores[method], scores[reference], tasks)
                found.append((problem, method, reference, seeds, parts))
    if len(study.problems) > 1:
        found += _over_problems(study, found)
    p_values = [paired_test(tuple(seeds.values())) for *_, seeds, _ in found]
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
                by_task=parts,
            )
            for (problem, method, reference, seeds, parts), p_value, adjusted in zip(
                found, p_values, holm(p_values), strict=True
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


_Found = tuple[str, str, str, dict[int, float], dict[str, tuple[float, ...]]]


def _over_problems(study: StudyResults, found: Sequence[_Found]) -> list[_Found]:
    """The mean of delta-m over the problems, for pairs that every problem has; seed by seed."""
    by_pair: dict[tuple[str, str], list[dict[int, float]]] = {}
    for _, method, reference, seeds, _ in found:
        by_pair.setdefault((method, reference), []).append(seeds)
    means: list[_Found] = []
    for (method, reference), every in by_pair.items():
        common = [seed for seed in every[0] if all(seed in each for each in every)]
        if len(every) == len(study.problems) and len(common) > 1:
            mean = {seed: math.fsum(each[seed] for each in every) / len(every) for seed in common}
            means.append((EVERY_PROBLEM, method, reference, mean, {}))
    return means


def _by_task(
    method: SeedScores, reference: SeedScores, tasks: Sequence[TaskMetric]
) -> dict[str, tuple[float, ...]]:
    return {j.task: tuple(task_delta(method, reference, j).values()) for j in tasks}
