"""The page of a run: headline numbers and curves first, then everything that was recorded."""

import math
from collections.abc import Iterable, Mapping, Sequence

import attrs

from mtlkit.errors import RunError
from mtlkit.loggers.events import Event
from mtlkit.report.blocks import Block, Cell, Chart, TableBlock
from mtlkit.report.evaluation import Evaluation
from mtlkit.report.history import (
    is_point,
    opening_charts,
    speed_section,
    training_section,
    without_points,
)
from mtlkit.report.html import render_html
from mtlkit.report.numbers import duration
from mtlkit.report.overlay import overlay
from mtlkit.report.page import Code, Facts, Headline, Page, PageBlock, PagePart

OPENING = 2
"""The number of charts above the first heading if a run has no training curves."""


@attrs.frozen(kw_only=True)
class RunRecord:
    """Everything that a report shows of one run."""

    name: str
    evaluation: Evaluation
    events: Sequence[Event] = ()
    recipe: str = ""  # resolved, as YAML
    versions: Mapping[str, str] = attrs.field(factory=dict)  # of everything that took part


def render_page(run: RunRecord, beside: Sequence[RunRecord] = ()) -> str:
    """Return the report of `run` as HTML, compared with other runs where possible.

    Raises `RunError` if two runs have the same name.
    """
    return render_html(run_page(run, beside))


def run_page(run: RunRecord, others: Sequence[RunRecord] = ()) -> Page:
    """Return the page of `run`, compared with `others`."""
    runs = [run, *others]
    if len({one.name for one in runs}) < len(runs):
        names = ", ".join(one.name for one in runs)
        raise RunError(f"the runs of a report need different names, got {names}")
    recorded = (training_section(run.events), speed_section(run.events))
    sections = [
        *((s.title, _overlaid(s.blocks, run.name, others)) for s in run.evaluation.sections),
        *((s.title, without_points(s.blocks)) for s in recorded if s is not None),
    ]
    evaluated = [block for _, blocks in sections for block in blocks if isinstance(block, Chart)]
    curves = opening_charts(run.events)
    opening = evaluated[:OPENING] if all(map(is_point, curves)) else curves
    parts = [
        PagePart(title=title, anchor=f"section-{number}", blocks=rest)
        for number, (title, blocks) in enumerate(sections)
        if (rest := tuple(block for block in blocks if block not in opening))
    ]
    facts = {k: v for k, v in run.evaluation.facts.items() if k != "model"}
    compared = [_compared(runs)] if others else []
    metrics = _all_metrics(runs)
    folded: tuple[tuple[str, str, PageBlock | None], ...] = (
        (f"All {len(metrics.rows)} metrics", "metrics", metrics if metrics.rows else None),
        ("Recipe, resolved", "recipe", Code(text=run.recipe) if run.recipe else None),
        ("Versions", "versions", Facts(items=run.versions) if run.versions else None),
    )
    optional = [
        PagePart(title="Compared with other runs", anchor="compared", blocks=tuple(compared)),
        *parts,
        PagePart(title="Setup", anchor="setup", blocks=(Facts(items=facts),) if facts else ()),
        *(
            PagePart(title=title, anchor=anchor, blocks=(block,), folded=True)
            for title, anchor, block in folded
            if block is not None
        ),
    ]
    return Page(
        title=run.name,
        subject="mtlkit report",
        lead=run.evaluation.facts.get("model", "A multi-task network trained with mtlkit"),
        headlines=tuple(_headlines(run, others)),
        opening=tuple(opening),
        parts=tuple(part for part in optional if part.blocks),
    )


def _overlaid(blocks: Sequence[Block], name: str, others: Sequence[RunRecord]) -> tuple[Block, ...]:
    """Return the blocks, with the same charts of other runs drawn into the comparable ones."""
    return tuple(
        overlay(name, block, _same_chart(block, others))
        if isinstance(block, Chart) and block.comparable
        else block
        for block in blocks
    )


def _same_chart(chart: Chart, others: Sequence[RunRecord]) -> dict[str, Chart]:
    return {
        other.name: block
        for other in others
        for section in other.evaluation.sections
        for block in section.blocks
        if isinstance(block, Chart) and block.title == chart.title
    }


def _headlines(run: RunRecord, others: Sequence[RunRecord]) -> Iterable[Headline]:
    for name in run.evaluation.headlines:
        values = {one.name: one.evaluation.metrics.get(name) for one in (run, *others)}
        known = {key: value for key, value in values.items() if value is not None}
        if run.name in known:
            yield Headline(name=name, value=known.pop(run.name), others=known)


def _compared(runs: Sequence[RunRecord]) -> TableBlock:
    """Return budget and headlines side by side: a metric means little without its cost."""
    budgets = [run.evaluation.budget for run in runs]
    rows: list[tuple[Cell, ...]] = []
    for name in dict.fromkeys(name for budget in budgets for name in budget):
        values = [budget.get(name, math.nan) for budget in budgets]
        if name == "seconds":
            rows.append(("training time", *(duration(v) if v == v else v for v in values)))
        else:
            rows.append((name, *values))
    rows += _metrics(runs, dict.fromkeys(n for run in runs for n in run.evaluation.headlines))
    return TableBlock(header=("", *(run.name for run in runs)), rows=tuple(rows))


def _all_metrics(runs: Sequence[RunRecord]) -> TableBlock:
    header = ("", *(run.name for run in runs)) if len(runs) > 1 else ("", "")
    names = dict.fromkeys(name for run in runs for name in run.evaluation.metrics)
    return TableBlock(header=header, rows=tuple(_metrics(runs, names)))


def _metrics(runs: Sequence[RunRecord], names: Iterable[str]) -> list[tuple[Cell, ...]]:
    """Return the metrics of each run; NaN for one that a run does not have."""
    return [(name, *(run.evaluation.metrics.get(name, math.nan) for run in runs)) for name in names]
