"""Sentences of a power analysis: the limits of a study and the seeds to overcome them."""

import statistics
from collections.abc import Iterator

import attrs

from mtlkit.comparison.analysis.baseline_tests import EVERY_PROBLEM, PairedComparison
from mtlkit.comparison.analysis.delta_m import worthless
from mtlkit.comparison.analysis.evidence import Evidence, Statement, StatementKind, deciding_budget
from mtlkit.comparison.analysis.power import detectable, seeds_needed
from mtlkit.comparison.analysis.statistics import std
from mtlkit.comparison.analysis.text import counted, listed
from mtlkit.comparison.results.study_results import StudyResults


def more_seeds(evidence: Evidence, comparison: PairedComparison) -> str:
    """Return a sentence about the seeds that would show the observed difference, if it is true."""
    alpha, have = evidence.family.alpha, len(comparison.differences)
    spread = std(comparison.differences)
    if spread == 0:
        return " The seeds do not differ, so they say nothing about chance."
    needed = seeds_needed(comparison.estimate.mean, spread, alpha)
    if needed is None:
        return " If the true difference is what was seen, not even 1,000 seeds would show it."
    if needed <= have:
        return (
            f" A true difference of this size shows with {counted(have, 'seed')} in four of five "
            f"studies; a few more seeds may decide."
        )
    return (
        f" If the true difference is what was seen, it takes about {counted(needed, 'seed')} to "
        f"show it, {needed - have:,} more."
    )


@attrs.frozen(kw_only=True)
class _Reach:
    """The difference that a study can show and the seeds for a relevant one, as text."""

    seeds: str
    smallest: str
    needed: str


def _reach(evidence: Evidence, problem: str) -> _Reach | None:
    study, family = evidence.study, evidence.family
    equal = study.baseline("equal")
    mine = family.against(problem, equal) if equal else ()
    spreads = [std(c.differences) for c in mine]
    if not any(spreads):
        return None
    seeds = statistics.median_low(len(c.differences) for c in mine)
    spread = statistics.median(spreads)
    smallest = detectable(spread, seeds, family.alpha)
    needed = seeds_needed(study.relevant, spread, family.alpha)
    return _Reach(
        seeds=counted(seeds, "seed"),
        smallest="only an enormous difference" if smallest is None else f"about {smallest:.1f}%",
        needed="more than 1,000" if needed is None else f"about {needed:,}",
    )


def short_limit(evidence: Evidence, problem: str) -> list[Statement]:
    """Return the smallest difference that the study can show, in one line."""
    reach = _reach(evidence, problem)
    if reach is None:
        return []
    return [
        Statement(
            StatementKind.LIMIT,
            f"With {reach.seeds}, {reach.smallest} shows in four of five studies; "
            f"{evidence.study.relevant:g}% takes {reach.needed} seeds.",
        )
    ]


def limits(evidence: Evidence, problem: str) -> list[Statement]:
    """Return what delta-m leaves out, and the smallest difference that the study can show."""
    statements = list(_left_out(evidence, problem))
    reach, comparisons = _reach(evidence, problem), len(evidence.family.comparisons)
    if reach is not None:
        text = (
            f"With {reach.seeds} and {counted(comparisons, 'comparison')} the smallest difference "
            f"from equal weights that shows in four of five studies is {reach.smallest}; one of "
            f"{evidence.study.relevant:g}% takes {reach.needed} seeds."
        )
        statements.append(Statement(StatementKind.LIMIT, text))
    return statements


def _left_out(evidence: Evidence, problem: str) -> Iterator[Statement]:
    """Yield a statement about the metrics that delta-m of some pairs leaves out, if any."""
    mine = [c for c in evidence.family.comparisons if c.problem == problem]
    names = dict.fromkeys(name for comparison in mine for name in comparison.left_out)
    if names:
        count = sum(bool(comparison.left_out) for comparison in mine)
        yield Statement(
            StatementKind.LIMIT,
            f"Delta-m of {count} of {counted(len(mine), 'comparison')} leaves out "
            f"{listed(list(names))}: a run has no such number, or the baseline's mean is 0.",
        )


def worthless_baseline(study: StudyResults, problem: str, method: str) -> list[Statement]:
    """Return a statement about the tasks whose baseline mean is zero or negative, if any."""
    scores = study.metric_scores(problem, method, deciding_budget(study))
    unusable = worthless(scores, study.metrics(problem))
    if not unusable:
        return []
    verb, whose = ("is", "another metric") if len(unusable) == 1 else ("are", "other metrics")
    mean = "mean" if len(unusable) == 1 else "means"
    return [
        Statement(
            StatementKind.LIMIT,
            f"No delta-m against {method}: its {mean} of {listed(unusable)} {verb} 0 or below; "
            f"judge {'it' if len(unusable) == 1 else 'them'} by {whose}.",
        )
    ]


def why_nothing(study: StudyResults, problem: str) -> str:
    """Return the reason why there is no comparison on a problem."""
    if problem == EVERY_PROBLEM:
        return (
            "There is no mean over problems: no pair of methods has a delta-m of two seeds on each "
            "of them."
        )
    seeds = {
        seed
        for method in study.methods
        for seed in study.scores(problem, method, deciding_budget(study))
    }
    if not seeds:
        return "No method has a finished final run yet."
    if len(study.seeds) == 1:
        return (
            "One seed: there are no intervals and there is no verdict, for the difference between "
            "two runs may be chance. Give the comparison `seeds: 5` or more."
        )
    return "No two methods have two finished seeds in common yet, so there is no verdict."
