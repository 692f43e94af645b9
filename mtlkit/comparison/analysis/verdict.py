"""The verdict of a study in sentences: shown differences and undecided ones.

`compare_all`, one family of tests at 5%, decides which differences are shown. Only shown ones are
tested further: on which tasks they appear, and at equal time.
"""

from collections.abc import Sequence

from mtlkit.comparison.analysis.baseline_tests import (
    EVERY_PROBLEM,
    PLACEBO,
    VERDICT_BASELINES,
    PairedComparison,
)
from mtlkit.comparison.analysis.evidence import Evidence, Statement, StatementKind, Verdict
from mtlkit.comparison.analysis.power_text import (
    limits,
    more_seeds,
    short_limit,
    why_nothing,
    worthless_baseline,
)
from mtlkit.comparison.analysis.statistics import ALPHA, holm
from mtlkit.comparison.analysis.text import SPOKEN, by_how_much, interval, listed, p_value, percent
from mtlkit.comparison.results.study_results import BASELINE_ROLES


def verdicts(evidence: Evidence) -> tuple[Verdict, ...]:
    """Return the verdict on each problem; if there are several, that on their mean comes first."""
    problems = evidence.study.problems
    every = (EVERY_PROBLEM, *problems) if len(problems) > 1 else problems
    return tuple(Verdict(problem=p, statements=tuple(_statements(evidence, p))) for p in every)


LINES, NAMES = 5, 6
"""Maximum number of lines of a short verdict, and of methods named in a line."""


def short_verdict(evidence: Evidence) -> tuple[Statement, ...]:
    """Return the verdict in at most five lines: against equal weights, tuning, and chance."""
    study, family = evidence.study, evidence.family
    problem = EVERY_PROBLEM if len(study.problems) > 1 else study.problems[0]
    equal, tuned = study.baseline("equal"), study.baseline("tuned")
    ordered = sorted(family.against(problem, equal or ""), key=lambda c: -c.estimate.mean)
    if not ordered:
        return tuple(_statements(evidence, problem)[:LINES])
    groups = (
        (StatementKind.BETTER, "Better than", [c for c in ordered if c.better]),
        (StatementKind.WORSE, "Worse than", [c for c in reversed(ordered) if c.worse]),
        (StatementKind.UNDECIDED, "Not distinguished from", [c for c in ordered if not c.shown]),
    )
    lines = [
        Statement(kind, f"{words} {SPOKEN['equal']}: {_some(group)}.")
        for kind, words, group in groups
        if group
    ]
    if tuned is not None:
        mine = sorted(family.against(problem, tuned), key=lambda c: -c.estimate.mean)
        better = [c for c in mine if c.better and c.method not in BASELINE_ROLES]
        kind = StatementKind.BETTER if better else StatementKind.UNDECIDED
        text = f"Better than {SPOKEN['tuned']}: {_some(better)}."
        lines.append(Statement(kind, text if better else f"None beats {SPOKEN['tuned']}."))
    placebo = [s for s in _placebo(evidence, problem) if s.kind is StatementKind.WARNING]
    best = f"The best is not shown to beat {SPOKEN[PLACEBO]}: its rank may be chance."
    warning = [Statement(StatementKind.WARNING, best) for _ in placebo]
    return (*lines, *(warning or short_limit(evidence, problem)))


def _some(comparisons: Sequence[PairedComparison]) -> str:
    named = [
        f"{c.method} {percent(c.estimate.mean)}" if c.shown else c.method
        for c in comparisons[:NAMES]
    ]
    more = len(comparisons) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def headline(evidence: Evidence) -> str:
    """Return the verdict in one sentence."""
    study, family = evidence.study, evidence.family
    if not family.comparisons:
        return "Nothing can be compared yet."
    clauses = []
    for role in ("equal", "tuned"):
        name = study.baseline(role)
        if name is None:
            continue
        better = [c for p in study.problems for c in family.against(p, name) if c.better]
        better = [c for c in better if role == "equal" or c.method not in BASELINE_ROLES]
        if better:
            where = _where(better, len(study.problems))
            beat = "beats" if len(where) == 1 else "beat"
            clauses.append(f"{listed(where)} {beat} {SPOKEN[role]}")
        else:
            clauses.append(f"no method is shown to beat {SPOKEN[role]}")
    if not clauses:
        return "Neither equal weights nor tuned scalarization is there to compare methods with."
    sentence = "; ".join(clauses)
    start = "No" if sentence.startswith("no ") else sentence[:2]  # keep the case of a method's name
    return f"{start}{sentence[2:]}."


def _where(better: Sequence[PairedComparison], problems: int) -> list[str]:
    by_method: dict[str, list[str]] = {}
    for comparison in better:
        by_method.setdefault(comparison.method, []).append(comparison.problem)
    if problems == 1:
        return list(by_method)
    return [f"{method} (on {listed(where)})" for method, where in by_method.items()]


def _statements(evidence: Evidence, problem: str) -> list[Statement]:
    study, family = evidence.study, evidence.family
    statements: list[Statement] = []
    without_meaning = False
    for role in VERDICT_BASELINES:
        reference = study.baseline(role)
        if reference is None:
            reason = study.without.get(role)
            why = f"left out: {reason}" if reason else "not part of this study"
            name, verb = SPOKEN[role], "are" if role == "equal" else "is"
            text = f"{name[0].upper()}{name[1:]} {verb} {why}."
            statements.append(Statement(StatementKind.LIMIT, text))
        else:
            mine = family.against(problem, reference)
            unsaid = [] if mine else worthless_baseline(study, problem, reference)
            statements += unsaid or _against(evidence, problem, role, mine)
            without_meaning = without_meaning or bool(unsaid)
    if not any(c.problem == problem for c in family.comparisons):
        explained = without_meaning and len(study.seeds) > 1
        rest = [] if explained else [Statement(StatementKind.LIMIT, why_nothing(study, problem))]
        return [*statements, *rest]
    return [*statements, *_placebo(evidence, problem), *limits(evidence, problem)]


def _against(
    evidence: Evidence, problem: str, role: str, comparisons: Sequence[PairedComparison]
) -> list[Statement]:
    """Return the statements against one baseline, best first."""
    ordered = sorted(comparisons, key=lambda c: -c.estimate.mean)
    better = [c for c in ordered if c.better]
    worse = [c for c in reversed(ordered) if c.worse]
    undecided = [c for c in ordered if not c.shown]
    if role == "single-task" and len(better) > 1:
        statements = [
            Statement(StatementKind.BETTER, f"Better than {SPOKEN[role]}: {_briefly(better)}.")
        ]
    else:
        statements = [Statement(StatementKind.BETTER, _won(evidence, c, role)) for c in better]
    if undecided:
        statements.append(Statement(StatementKind.UNDECIDED, _undecided(evidence, undecided, role)))
    if worse:
        statements.append(
            Statement(StatementKind.WORSE, f"Worse than {SPOKEN[role]}: {_briefly(worse)}.")
        )
    return statements


def _briefly(comparisons: Sequence[PairedComparison]) -> str:
    return listed(
        [f"{c.method} ({percent(c.estimate.mean)}, {interval(c.estimate)})" for c in comparisons]
    )


def _won(evidence: Evidence, comparison: PairedComparison, role: str) -> str:
    text = f"{comparison.method} is better than {SPOKEN[role]}: {by_how_much(comparison)}."
    text += _on_which_tasks(comparison)
    if role == "equal" and evidence.at_equal_time is not None:
        text += _at_equal_time(evidence, comparison)
    return text


def _on_which_tasks(comparison: PairedComparison) -> str:
    """Return a sentence about the tasks of a shown difference, adjusted over these tasks."""
    if len(comparison.tasks) < 2:
        return ""
    parts = []
    for word, sign in (("better on", 1), ("worse on", -1)):
        which = [
            f"{t.task} ({percent(t.estimate.mean)}, {interval(t.estimate)})"
            for t in comparison.tasks
            if t.p_value < ALPHA and sign * t.estimate.mean > 0
        ]
        if which:
            parts.append(f"{word} {listed(which)}")
    rest = [t.task for t in comparison.tasks if t.p_value >= ALPHA]
    if not parts:
        return " On no task alone is the difference shown."
    if rest:
        parts.append(f"no difference shown on {listed(rest)}")
    return f" It is {'; '.join(parts)}."


def _at_equal_time(evidence: Evidence, comparison: PairedComparison) -> str:
    """Return a sentence about the difference at equal time, adjusted over the shown ones."""
    assert evidence.at_equal_time is not None
    shown = [c for c in evidence.family.comparisons if c.better]
    again = [evidence.at_equal_time.of(c.problem, c.method, c.reference) for c in shown]
    other = again[shown.index(comparison)]
    if other is None:
        return " At equal training time it has not been run."
    known = [c for c in again if c is not None]
    adjusted = holm([c.p_value for c in known])[known.index(other)]
    estimate = other.estimate
    verb = "holds" if adjusted < ALPHA and estimate.mean > 0 else "is not shown"
    return (
        f" At equal training time this {verb}: {percent(estimate.mean)} "
        f"({interval(estimate)}; {p_value(adjusted)})."
    )


def _undecided(evidence: Evidence, comparisons: Sequence[PairedComparison], role: str) -> str:
    names = [c.method for c in comparisons]
    if len(names) == 1:
        text = f"No difference shown between {names[0]} and {SPOKEN[role]}"
    else:
        text = f"No difference from {SPOKEN[role]} shown for {len(names)} methods: {listed(names)}"
    nearest = min(comparisons, key=lambda c: c.p_value)
    estimate = nearest.estimate
    shown = f"{percent(estimate.mean)} ({interval(estimate)})"
    text += f": {shown}." if len(names) == 1 else f". Nearest to one is {nearest.method}: {shown}."
    return text + more_seeds(evidence, nearest)


def _placebo(evidence: Evidence, problem: str) -> list[Statement]:
    """Return a warning unless the best method is shown to be better than random weights."""
    study = evidence.study
    placebo = study.baseline(PLACEBO)
    if placebo is None:
        reason = study.without.get(PLACEBO, "no reason was given")
        return [
            Statement(StatementKind.LIMIT, f"The placebo (random weights) was left out: {reason}.")
        ]
    candidates = evidence.placebo.against(problem, placebo)
    weighted = [c for c in candidates if c.method not in BASELINE_ROLES] or list(candidates)
    if not weighted:
        return worthless_baseline(study, problem, placebo)
    best = max(weighted, key=lambda c: c.estimate.mean)
    if best.better:
        return []
    estimate = best.estimate
    shown = f"{percent(estimate.mean)} ({interval(estimate)}; {p_value(best.adjusted)})"
    return [
        Statement(
            StatementKind.WARNING,
            f"The placebo is as good as the best, as far as this study can tell: {best.method} is "
            f"not shown to be better than random weights ({placebo}), {shown}. What a ranking "
            f"says here may be chance.",
        )
    ]
