"""The page of a study: verdict, tables and figures in one HTML file that needs no network."""

import base64
import functools
import gzip
import importlib.resources
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import jinja2
from markupsafe import Markup, escape
from plotly.offline import get_plotlyjs

from mtlkit.comparison.analysis.baseline_tests import EVERY_PROBLEM
from mtlkit.comparison.analysis.evidence import Verdict
from mtlkit.comparison.analysis.statistics import Estimate
from mtlkit.comparison.analysis.traces import Traces
from mtlkit.comparison.report.critical_difference import draw_critical_difference
from mtlkit.comparison.report.figures import (
    cost_and_gain,
    forest,
    learning_rates,
    pareto,
    task_intervals,
    traces,
    two_budgets,
)
from mtlkit.comparison.report.narrative import Narrative
from mtlkit.comparison.report.plotly_parts import Choice, Figure, Look, looks
from mtlkit.comparison.report.report_table import Cell, ReportTable, shown
from mtlkit.comparison.report.tables import SUMMARY


@attrs.frozen(kw_only=True)
class _Block:
    title: str
    figures: Sequence[Figure | Choice]
    sheets: Sequence[ReportTable]


@attrs.frozen(kw_only=True)
class _Part:
    problem: str
    anchor: str
    judged: str
    verdict: Verdict
    blocks: Sequence[_Block]
    unread: Sequence[str]


def render_study(
    narrative: Narrative,
    sheets: Sequence[ReportTable],
    found: Mapping[str, tuple[Mapping[str, Traces], Sequence[str]]],
) -> str:
    """The page as HTML; `found` has the traces of each problem, and which could not be read."""
    study = narrative.evidence.study
    shapes = looks(study)
    kept: dict[str, Figure] = {}
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [
                jinja2.PackageLoader("mtlkit.comparison.report", "."),
                jinja2.PackageLoader("mtlkit.report", "."),
            ]
        ),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"cell": _cell, "breakable": _breakable, "kept": _keeper(kept)}
    by_problem = {verdict.problem: verdict for verdict in narrative.verdicts}
    parts = [
        _part(narrative, by_problem[problem], number, shapes, sheets, *found[problem])
        for number, problem in enumerate(study.problems)
    ]
    template = environment.get_template("page.html")
    context: dict[str, Any] = {
        "study": study,
        "lead": narrative.lead(),
        "missing": narrative.missing(),
        "headline": narrative.headline,
        "overall": by_problem.get(EVERY_PROBLEM),
        "summary": [sheet for sheet in sheets if sheet.name == SUMMARY],
        "looks": shapes,
        "parts": parts,
        "ranks": _ranks(narrative, shapes),
        "rest": [s for s in sheets if s.problem not in study.problems and s.name != SUMMARY],
        "fair": narrative.fair(),
        "plotly": Markup(_packed_plotly()),
        "script": Markup(_script()),
    }
    # figures are kept while the page is filled in, and stand at its end
    page = template.render(**context, figures=Markup(_PLACE))
    return page.replace(_PLACE, _json(kept), 1)


_PLACE = "@@figures@@"


def _part(
    narrative: Narrative,
    verdict: Verdict,
    number: int,
    shapes: Mapping[str, Look],
    sheets: Sequence[ReportTable],
    found: Mapping[str, Traces],
    unread: Sequence[str],
) -> _Part:
    evidence, study = narrative.evidence, narrative.evidence.study
    problem = verdict.problem
    mine = {sheet.name: sheet for sheet in sheets if sheet.problem == problem}
    plan: list[tuple[str, list[Figure | Choice | None], tuple[str, ...]]] = [
        ("", [], ("ranking",)),
        (
            "Improvement over baselines",
            [forest(evidence, problem, role, shapes) for role in ("equal", "single-task")],
            ("comparisons", "tasks"),
        ),
        ("Task by task", [*task_intervals(study, problem, shapes)], ()),
        ("Trade between tasks", [pareto(study, problem, shapes)], ("hypervolume",)),
        (
            "TrainingCost",
            [cost_and_gain(study, problem, shapes), two_budgets(study, problem, shapes)],
            ("cost", "budgets"),
        ),
        (
            "Search",
            [learning_rates(study, problem, shapes)],
            ("learning-rates", "settings"),
        ),
        ("Training", [traces(study, found)], ()),
    ]
    blocks = []
    for title, figures, names in plan:
        drawn = [figure for figure in figures if figure is not None]
        tables = [mine[name] for name in names if name in mine]
        if drawn or tables:
            blocks.append(_Block(title=title, figures=drawn, sheets=tables))
    return _Part(
        problem=problem,
        anchor=f"problem-{number}",
        judged=narrative.judged(problem),
        verdict=verdict,
        blocks=blocks,
        unread=unread,
    )


def _ranks(narrative: Narrative, shapes: Mapping[str, Look]) -> dict[str, Any] | None:
    colours = {method: look.colour for method, look in shapes.items()}
    svg = draw_critical_difference(narrative.ranks, colours, "ranks")
    return {"svg": Markup(svg), "text": narrative.about_ranks()} if svg else None


def _keeper(kept: dict[str, Figure]) -> Any:
    def keep(figure: Figure) -> str:
        name = f"figure-{len(kept)}"
        kept[name] = figure
        return name

    return keep


def _json(figures: Mapping[str, Figure]) -> str:
    """The figures as JSON that may stand in HTML; numbers to five digits, NaN as null."""
    value = {
        name: {
            "title": figure.title,
            "traces": figure.traces,
            "layout": figure.layout,
            "rows": figure.rows,
            "wide": figure.wide,
        }
        for name, figure in figures.items()
    }
    text = json.dumps(_short(value), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c")


def _short(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.5g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _short(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_short(each) for each in value]
    return value


def _cell(cell: Cell, signed: bool = False) -> str | Markup:
    text = shown(cell, signed)
    if not isinstance(cell, Estimate) or "[" not in text:
        return text
    mean, bounds = text.split(" ", 1)
    return Markup('{}<span class="interval">{}</span>').format(mean, bounds)


def _breakable(path: str) -> Markup:
    return Markup(re.sub(r"/", "/<wbr>", str(escape(path))))


@functools.cache
def _packed_plotly() -> str:
    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), 9, mtime=0)).decode()


def _script() -> str:
    return (
        importlib.resources.files("mtlkit.comparison.report").joinpath("page.js").read_text("utf-8")
    )
