"""The page of a study: charts and a short verdict, with folded details below."""

from collections.abc import Iterable, Mapping, Sequence

from mtlkit.comparison.analysis.baseline_tests import EVERY_PROBLEM
from mtlkit.comparison.analysis.evidence import Statement
from mtlkit.comparison.analysis.traces import Traces
from mtlkit.comparison.analysis.verdict import short_verdict
from mtlkit.comparison.report.critical_difference import draw_critical_difference
from mtlkit.comparison.report.figures import (
    choice,
    cost_and_gain,
    forest,
    learning_rates,
    opening,
    pareto,
    task_intervals,
    training_traces,
    two_budgets,
)
from mtlkit.comparison.report.narrative import Narrative
from mtlkit.comparison.report.styles import MethodStyles, method_styles
from mtlkit.comparison.report.tables import STUDY, StudyTables
from mtlkit.report.blocks import Chart, Section, TableBlock, Text
from mtlkit.report.page import (
    ChartChoice,
    Diagram,
    Facts,
    Finding,
    Findings,
    Heading,
    Page,
    PageBlock,
    PagePart,
)

StudyTraces = Mapping[str, tuple[Mapping[str, Traces], Sequence[str]]]
"""By problem: the traces of methods, and messages about those that could not be read."""


def study_page(
    narrative: Narrative,
    tables: StudyTables,
    traces: StudyTraces,
    sections: Mapping[str, Sequence[Section]] | None = None,
) -> Page:
    """Return the page of a study, with the `sections` that plugins add to its problems."""
    evidence, study = narrative.evidence, narrative.evidence.study
    styles, whole = method_styles(study), tables[STUDY]
    parts = [
        PagePart(title="Verdict", anchor="verdict", blocks=(_findings(short_verdict(evidence)),)),
        _folded("Every finding in words", "findings", _words(narrative)),
        _folded("Problem by problem", "summary", [whole.get("summary")]),
    ]
    for number, problem in enumerate(study.problems):
        blocks = _problem(narrative, problem, styles, tables[problem], *traces[problem])
        for section in (sections or {}).get(problem, ()):
            blocks += [Heading(section.title), *section.blocks]
        parts.append(_folded(f"Problem {problem}", f"problem-{number}", blocks))
    mean_of_all = "Every comparison on the mean of all problems"
    parts += [
        _folded("Ranks", "ranks", _ranks(narrative, styles)),
        _folded(mean_of_all, "comparisons", [whole.get("comparisons")]),
        _folded("Failed runs", "failures", [whole.get("failures")]),
        _folded("How it was made fair", "fair", [Facts(items=narrative.fair())]),
        _folded("Machine and versions", "machine", [Facts(items=study.machine)]),
    ]
    return Page(
        title=study.name,
        subject="mtlkit comparison",
        lead=narrative.lead(),
        notices=tuple(narrative.notices()),
        opening=tuple(opening(evidence, styles)),
        groups=styles,
        parts=tuple(part for part in parts if part.blocks),
        interactive=True,
        footer="The same is in report.md, and every table in tables/.",
    )


def _folded(title: str, anchor: str, blocks: Iterable[PageBlock | None]) -> PagePart:
    known = tuple(
        block
        for block in blocks
        if block is not None and not (isinstance(block, Facts) and not block.items)
    )
    return PagePart(title=title, anchor=anchor, blocks=known, folded=True)


def _findings(statements: Sequence[Statement]) -> Findings:
    return Findings(items=tuple(Finding(s.kind.value, s.text) for s in statements))


def _words(narrative: Narrative) -> list[PageBlock]:
    blocks: list[PageBlock] = [Text(text=narrative.headline)]
    blocks += [Text(text=line) for line in narrative.left_out()]
    for verdict in narrative.verdicts:
        every = verdict.problem == EVERY_PROBLEM
        title = "On the mean of all problems" if every else verdict.problem
        blocks += [Heading(title), _findings(verdict.statements)]
    return blocks


def _problem(
    narrative: Narrative,
    problem: str,
    styles: MethodStyles,
    tables: Mapping[str, TableBlock],
    traces: Mapping[str, Traces],
    unread: Sequence[str],
) -> list[PageBlock]:
    evidence, study = narrative.evidence, narrative.evidence.study
    fronts = pareto(study, problem, styles)
    plan: list[tuple[str, list[Chart | ChartChoice | None], tuple[str, ...]]] = [
        ("", [], ("ranking",)),
        (
            "Improvement over baselines",
            [forest(evidence, problem, role) for role in ("equal", "tuned", "single-task")],
            ("comparisons", "tasks"),
        ),
        ("Task by task", [*task_intervals(study, problem, styles)], ()),
        ("Trade between tasks", [*choice("Tasks", fronts)], ("hypervolume",)),
        (
            "Cost",
            [cost_and_gain(study, problem, styles), two_budgets(study, problem)],
            ("cost", "budgets"),
        ),
        ("Search", [learning_rates(study, problem, styles)], ("learning-rates", "settings")),
        ("Training", [training_traces(study, traces)], ()),
    ]
    blocks: list[PageBlock] = [Text(text=narrative.judged(problem))]
    for title, charts, names in plan:
        drawn = [chart for chart in charts if chart is not None]
        details = [tables[name] for name in names if name in tables]
        heading = [Heading(title)] if title and (drawn or details) else []
        blocks += [*heading, *drawn, *details]
    return [*blocks, *(Text(text=f"No traces of {line}") for line in unread)]


def _ranks(narrative: Narrative, styles: MethodStyles) -> list[PageBlock]:
    ranks, text = narrative.ranks, narrative.about_ranks()
    if not ranks.ranks:
        return []
    colors = {method: style.color for method, style in styles.items()}
    svg = draw_critical_difference(ranks, colors, "ranks")
    rows = tuple(ranks.ranks.items())
    table = TableBlock(
        header=("method", "mean rank"), rows=rows, groups=tuple(ranks.ranks), caption=text
    )
    return [*([Diagram(svg=svg)] if svg else []), table]
