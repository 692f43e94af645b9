"""The tables of a study's report."""

import math
from collections.abc import Mapping

import attrs

from mtlkit.comparison.analysis.baseline_tests import EVERY_PROBLEM, PairedComparison
from mtlkit.comparison.analysis.delta_m import delta_m
from mtlkit.comparison.analysis.evidence import Evidence, deciding_budget
from mtlkit.comparison.analysis.power import seeds_needed
from mtlkit.comparison.analysis.ranks import Ranking
from mtlkit.comparison.analysis.statistics import Estimate, bootstrap_mean, std
from mtlkit.comparison.report.cost_tables import costing, failures, rates, settings, trading
from mtlkit.comparison.report.report_table import DASH, Cell, ReportTable, Row, mark_best
from mtlkit.comparison.results.record import Budget
from mtlkit.comparison.results.study_results import StudyResults


def ranking(evidence: Evidence, problem: str, ranks: Ranking) -> ReportTable:
    """Methods by delta-m against equal, with what each task came to; the best are marked."""
    study, budget = evidence.study, deciding_budget(evidence.study)
    tasks = study.tasks(problem)
    rows = []
    for method in study.methods:
        scores = study.scores(problem, method, budget)
        means = [
            bootstrap_mean([scores[seed][j.task] for seed in scores]) if scores else None
            for j in tasks
        ]
        cells = (
            method,
            improvement(study, problem, method, "single-task", budget),
            improvement(study, problem, method, "equal", budget),
            _word(evidence, problem, method),
            ranks.ranks.get(method),
            *means,
            len(scores),
        )
        rows.append(Row(cells=cells, method=method))
    equal = study.baseline("equal")
    rows.sort(key=lambda row: -_mean(row.cells[2], 0.0 if row.method == equal else -math.inf))
    for column, upward in ((1, True), (2, True), (4, False)):
        rows = mark_best(rows, column, upward)
    for place, judged in enumerate(tasks):
        rows = mark_best(rows, 5 + place, judged.higher_is_better)
    arrows = [f"{j.metric} {'↑' if j.higher_is_better else '↓'}" for j in tasks]
    return ReportTable(
        name="ranking",
        title="Ranking",
        problem=problem,
        header=(
            "method",
            "Δm against single-task, %",
            "Δm against equal, %",
            "beside equal",
            "mean rank",
            *arrows,
            "seeds",
        ),
        rows=tuple(rows),
        signed=frozenset((1, 2)),
        caption="Test split; means over seeds with bootstrap intervals of 95%. Δm is the mean "
        "improvement over tasks; above zero is better. Best of a column in bold, which says "
        "nothing of chance: the column 'beside equal' does.",
    )


def improvement(
    study: StudyResults, problem: str, method: str, role: str, budget: Budget
) -> Estimate | None:
    """Delta-m against a baseline, with a bootstrap interval; None where there is none."""
    reference = study.baseline(role)
    if reference is None or reference == method:
        return None
    scores, other = (study.scores(problem, name, budget) for name in (method, reference))
    seeds = delta_m(scores, other, study.tasks(problem))
    return bootstrap_mean(list(seeds.values())) if seeds else None


def budgets(study: StudyResults, problem: str) -> ReportTable | None:
    """Equal epochs beside equal time; None where the study has one budget."""
    if len(study.budgets) < 2:
        return None
    rows = []
    for method in study.methods:
        each = [improvement(study, problem, method, "equal", budget) for budget in study.budgets]
        epochs = [max((r.epochs for r in study.finals(problem, method, b)), default=None)
                  for b in study.budgets]  # fmt: skip
        if any(epochs):
            rows.append(Row(cells=(method, *each, *epochs), method=method))
    for column in range(1, 1 + len(study.budgets)):
        rows = mark_best(rows, column)
    return ReportTable(
        name="budgets",
        title="Equal epochs and equal time",
        problem=problem,
        header=(
            "method",
            *(f"Δm at equal {budget.value}, %" for budget in study.budgets),
            *(f"epochs at equal {budget.value}" for budget in study.budgets),
        ),
        rows=tuple(rows),
        signed=frozenset(range(1, 1 + len(study.budgets))),
        caption="Against equal weights. At equal time a method whose step costs twice as much "
        "trains for half as many epochs.",
    )


def comparisons(evidence: Evidence, problem: str) -> ReportTable:
    """Every test of the family on a problem."""
    family = evidence.family
    rows = [
        Row(
            cells=(
                c.method,
                c.reference,
                c.estimate,
                len(c.differences),
                c.p_value,
                c.adjusted,
                "better" if c.better else "worse" if c.worse else "not shown",
                _needed(c, family.alpha),
            ),
            method=c.method,
        )
        for c in family.comparisons
        if c.problem == problem
    ]
    return ReportTable(
        name="comparisons",
        title="Every comparison",
        problem=problem,
        folded=True,
        header=(
            *("method", "against", "Δm, %", "seeds", "p", "p adjusted"),
            *("a difference is", "seeds to show what was seen"),
        ),
        rows=tuple(rows),
        signed=frozenset((2,)),
        caption=f"Student's paired test and its interval, seed by seed; adjusted over the "
        f"{len(family.comparisons)} comparisons of the study (Holm).",
    )


def on_tasks(evidence: Evidence, problem: str) -> ReportTable:
    """What each comparison comes to on each task."""
    rows = [
        Row(cells=(c.method, c.reference, t.task, t.estimate, t.p_value), method=c.method)
        for c in evidence.family.comparisons
        if c.problem == problem
        for t in c.tasks
    ]
    return ReportTable(
        name="tasks",
        title="Every comparison, task by task",
        problem=problem,
        folded=True,
        header=("method", "against", "task", "improvement, %", "p adjusted"),
        rows=tuple(rows),
        signed=frozenset((3,)),
        caption="Adjusted over the tasks of a comparison alone: of all these rows some look shown "
        "by chance. The verdict asks for tasks only where the whole is shown.",
    )


SUMMARY = "summary"


def summary(evidence: Evidence) -> ReportTable | None:
    """Methods by problem, against equal; None of one problem, whose ranking says it."""
    study, budget = evidence.study, deciding_budget(evidence.study)
    if len(study.problems) < 2:
        return None
    rows = []
    for method in study.methods:
        cells: list[Cell] = [method]
        for problem in study.problems:
            cells.append(improvement(study, problem, method, "equal", budget))
            cells.append(_word(evidence, problem, method))
        rows.append(Row(cells=tuple(cells), method=method))
    header = [head for p in study.problems for head in (f"{p}: Δm, %", f"{p}: beside equal")]
    columns = range(1, 2 * len(study.problems), 2)
    for column in columns:
        rows = mark_best(rows, column)
    return ReportTable(
        name=SUMMARY,
        title="Against equal weights, problem by problem",
        header=("method", *header),
        rows=tuple(rows),
        signed=frozenset(columns),
        caption="Δm against equal weights with bootstrap intervals; the words are the verdict's.",
    )


def all_sheets(evidence: Evidence, ranks: Mapping[str, Ranking]) -> list[ReportTable]:
    """Every table of the study that has rows, problem by problem; `ranks` by problem."""
    study = evidence.study
    found: list[ReportTable | None] = [summary(evidence)]
    for problem in study.problems:
        found += [
            ranking(evidence, problem, ranks[problem]),
            budgets(study, problem),
            trading(study, problem),
            costing(study, problem),
            rates(study, problem),
            settings(study, problem),
            comparisons(evidence, problem),
            on_tasks(evidence, problem),
        ]
    if len(study.problems) > 1:
        mean = comparisons(evidence, EVERY_PROBLEM)
        found.append(attrs.evolve(mean, title="Every comparison on the mean of all problems"))
    found.append(failures(study))
    return [sheet for sheet in found if sheet is not None and sheet.rows]


def _needed(comparison: PairedComparison, alpha: float) -> int | str | None:
    if comparison.shown:
        return None
    spread = std(comparison.differences)
    if spread == 0:
        return None
    return seeds_needed(comparison.estimate.mean, spread, alpha) or "more than 1,000"


def _word(evidence: Evidence, problem: str, method: str) -> str:
    equal = evidence.study.baseline("equal")
    found = None if equal is None else evidence.family.of(problem, method, equal)
    if found is None:
        return DASH
    return "better" if found.better else "worse" if found.worse else "no difference shown"


def _mean(cell: Cell, otherwise: float) -> float:
    return cell.mean if isinstance(cell, Estimate) else otherwise
