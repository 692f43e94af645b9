"""Sentences of a power analysis: the limits of a study and the seeds to overcome them."""

import statistics
from collections.abc import Iterator

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
        return " The seeds do not differ, so chance cannot be estimated."
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


def short_limit(evidence: Evidence, problem: str) -> list[Statement]:
    """Return the smallest difference that the study can show, in one line."""
    text = (
        "With {seeds}, {smallest} shows in four of five studies; {relevant} takes {needed} seeds."
    )
    return _limit(evidence, problem, text)


def limits(evidence: Evidence, problem: str) -> list[Statement]:
    """Return what delta-m leaves out, and the smallest difference that the study can show."""
    text = (
        "With {seeds} and {comparisons} the smallest difference from equal weights that shows in "
        "four of five studies is {smallest}; one of {relevant} takes {needed} seeds."
    )
    return [*_left_out(evidence, problem), *_limit(evidence, problem, text)]


def _limit(evidence: Evidence, problem: str, text: str) -> list[Statement]:
    """Return `text` with the numbers of the study; nothing if its seeds do not differ."""
    study, family = evidence.study, evidence.family
    mine = family.against(problem, study.baseline("equal") or "")
    spreads = [std(c.differences) for c in mine]
    if not any(spreads):
        return []
    seeds = statistics.median_low(len(c.differences) for c in mine)
    spread = statistics.median(spreads)
    smallest = detectable(spread, seeds, family.alpha)
    needed = seeds_needed(study.relevant, spread, family.alpha)
    filled = text.format(
        seeds=counted(seeds, "seed"),
        comparisons=counted(len(family.comparisons), "comparison"),
        smallest="only an enormous difference" if smallest is None else f"about {smallest:.1f}%",
        relevant=f"{study.relevant:g}%",
        needed="more than 1,000" if needed is None else f"about {needed:,}",
    )
    return [Statement(StatementKind.LIMIT, filled)]


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
