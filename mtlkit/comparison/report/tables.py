"""The tables of a study's report."""

import math
from collections.abc import Mapping

import attrs

from mtlkit.comparison.analysis.baseline_tests import EVERY_PROBLEM, PairedComparison
from mtlkit.comparison.analysis.delta_m import delta_m
from mtlkit.comparison.analysis.evidence import Evidence, deciding_budget
from mtlkit.comparison.analysis.power import seeds_needed
from mtlkit.comparison.analysis.ranks import Ranking
from mtlkit.comparison.analysis.statistics import bootstrap_mean, std
from mtlkit.comparison.report.cost_tables import (
    cost_table,
    failure_table,
    rate_table,
    settings_table,
    trade_table,
)
from mtlkit.comparison.results.record import Budget
from mtlkit.comparison.results.study_results import StudyResults
from mtlkit.report.blocks import Cell, Estimate, TableBlock
from mtlkit.report.numbers import DASH

StudyTables = Mapping[str, Mapping[str, TableBlock]]
"""Tables by problem and name; those of the whole study have the problem `STUDY`."""

STUDY = ""


def study_tables(evidence: Evidence, ranks: Mapping[str, Ranking]) -> StudyTables:
    """Return every table of the study that has rows; `ranks` by problem."""
    study = evidence.study
    by_problem: dict[str, list[TableBlock | None]] = {
        problem: [
            ranking_table(evidence, problem, ranks[problem]),
            budget_table(study, problem),
            trade_table(study, problem),
            cost_table(study, problem),
            rate_table(study, problem),
            settings_table(study, problem),
            test_table(evidence, problem),
            task_table(evidence, problem),
        ]
        for problem in study.problems
    }
    by_problem[STUDY] = [summary_table(evidence), failure_table(study)]
    if len(study.problems) > 1:
        by_problem[STUDY].append(test_table(evidence, EVERY_PROBLEM))
    return {
        problem: {
            table.name: _grouped(table) for table in tables if table is not None and table.rows
        }
        for problem, tables in by_problem.items()
    }


def _grouped(table: TableBlock) -> TableBlock:
    """Return the table with its groups: the methods in cells ``method`` or ``method: task``."""
    methods = tuple(str(row[0]).split(": ")[0] for row in table.rows)
    return attrs.evolve(table, groups=table.groups or methods)


def ranking_table(evidence: Evidence, problem: str, ranks: Ranking) -> TableBlock:
    """Return the methods by delta-m against equal, with the mean of each task."""
    study, budget = evidence.study, deciding_budget(evidence.study)
    tasks = study.tasks(problem)
    rows: list[tuple[Cell, ...]] = []
    for method in study.methods:
        scores = study.scores(problem, method, budget)
        means = [
            bootstrap_mean([scores[seed][j.task] for seed in scores]) if scores else None
            for j in tasks
        ]
        rows.append(
            (
                method,
                improvement(study, problem, method, "single-task", budget),
                improvement(study, problem, method, "equal", budget),
                verdict_word(evidence, problem, method),
                ranks.ranks.get(method),
                *means,
                len(scores),
            )
        )
    equal = study.baseline("equal")
    rows.sort(key=lambda row: -_mean(row[2], 0.0 if row[0] == equal else -math.inf))
    arrows = [f"{j.metric} {'↑' if j.higher_is_better else '↓'}" for j in tasks]
    return TableBlock(
        name="ranking",
        title="Ranking",
        header=(
            "method",
            "Δm against single-task, %",
            "Δm against equal, %",
            "verdict",
            "mean rank",
            *arrows,
            "seeds",
        ),
        rows=tuple(rows),
        signed=(1, 2),
        caption="Test split; means over seeds with bootstrap intervals of 95%. Δm is the mean "
        "improvement over the metrics of all tasks; above zero is better. The best of a column is "
        "bold, which does not exclude chance: the verdict against equal weights does.",
    ).mark_best(
        {1: True, 2: True, 4: False, **{5 + i: j.higher_is_better for i, j in enumerate(tasks)}}
    )


def improvement(
    study: StudyResults, problem: str, method: str, role: str, budget: Budget
) -> Estimate | None:
    """Return delta-m against a baseline with a bootstrap interval; None if it is unknown."""
    reference = study.baseline(role)
    if reference is None or reference == method:
        return None
    scores, other = (study.metric_scores(problem, name, budget) for name in (method, reference))
    seeds = delta_m(scores, other, study.metrics(problem))
    return bootstrap_mean(list(seeds.values())) if seeds else None


def budget_table(study: StudyResults, problem: str) -> TableBlock | None:
    """Return equal epochs next to equal time; None if the study has one budget."""
    if len(study.budgets) < 2:
        return None
    rows: list[tuple[Cell, ...]] = []
    for method in study.methods:
        gains = [improvement(study, problem, method, "equal", budget) for budget in study.budgets]
        epochs = [
            max((r.epochs for r in study.finals(problem, method, budget)), default=None)
            for budget in study.budgets
        ]
        if any(epochs):
            rows.append((method, *gains, *epochs))
    columns = range(1, 1 + len(study.budgets))
    return TableBlock(
        name="budgets",
        title="Equal epochs and equal time",
        header=(
            "method",
            *(f"Δm at equal {budget.value}, %" for budget in study.budgets),
            *(f"epochs at equal {budget.value}" for budget in study.budgets),
        ),
        rows=tuple(rows),
        signed=tuple(columns),
        caption="Against equal weights. At equal time a method whose step costs twice as much "
        "trains for half as many epochs.",
    ).mark_best(dict.fromkeys(columns, True))


def test_table(evidence: Evidence, problem: str) -> TableBlock:
    """Return every test of the family on a problem."""
    family = evidence.family
    rows: list[tuple[Cell, ...]] = [
        (
            c.method,
            c.reference,
            c.estimate,
            len(c.differences),
            c.p_value,
            c.adjusted,
            c.verdict,
            _needed(c, family.alpha),
        )
        for c in family.comparisons
        if c.problem == problem
    ]
    return TableBlock(
        name="comparisons",
        title="Every comparison",
        folded=True,
        header=(
            *("method", "against", "Δm, %", "seeds", "p", "p adjusted"),
            *("a difference is", "seeds to show what was seen"),
        ),
        rows=tuple(rows),
        signed=(2,),
        caption=f"Student's paired test and its interval, seed by seed; adjusted over the "
        f"{len(family.comparisons)} comparisons of the study (Holm).",
    )


def task_table(evidence: Evidence, problem: str) -> TableBlock:
    """Return the difference of each comparison on each task."""
    rows: list[tuple[Cell, ...]] = [
        (c.method, c.reference, t.task, t.estimate, t.p_value)
        for c in evidence.family.comparisons
        if c.problem == problem
        for t in c.tasks
    ]
    return TableBlock(
        name="tasks",
        title="Every comparison, task by task",
        folded=True,
        header=("method", "against", "task", "improvement, %", "p adjusted"),
        rows=tuple(rows),
        signed=(3,),
        caption="Adjusted over the tasks of a comparison alone: some of all these rows look shown "
        "by chance. The verdict names tasks only if the whole difference is shown.",
    )


def summary_table(evidence: Evidence) -> TableBlock | None:
    """Return methods by problem, against equal; None for one problem, which its ranking shows."""
    study, budget = evidence.study, deciding_budget(evidence.study)
    if len(study.problems) < 2:
        return None
    rows: list[tuple[Cell, ...]] = []
    for method in study.methods:
        cells: list[Cell] = [method]
        for problem in study.problems:
            cells.append(improvement(study, problem, method, "equal", budget))
            cells.append(verdict_word(evidence, problem, method))
        rows.append(tuple(cells))
    header = [head for p in study.problems for head in (f"{p}: Δm, %", f"{p}: verdict")]
    columns = range(1, 2 * len(study.problems), 2)
    return TableBlock(
        name="summary",
        header=("method", *header),
        rows=tuple(rows),
        signed=tuple(columns),
        caption="Δm against equal weights with bootstrap intervals; the words are the verdict's.",
    ).mark_best(dict.fromkeys(columns, True))


def verdict_word(evidence: Evidence, problem: str, method: str) -> str:
    """Return the verdict on a method against equal weights in a word."""
    equal = evidence.study.baseline("equal") or ""
    comparison = evidence.family.of(problem, method, equal)
    return DASH if comparison is None else comparison.verdict


def _needed(comparison: PairedComparison, alpha: float) -> int | str | None:
    spread = std(comparison.differences)
    if comparison.shown or spread == 0:
        return None
    return seeds_needed(comparison.estimate.mean, spread, alpha) or "more than 1,000"


def _mean(cell: Cell, otherwise: float) -> float:
    return cell.mean if isinstance(cell, Estimate) else otherwise
