"""The report: one HTML page that needs nothing outside itself."""

import base64
import binascii
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs
import jinja2
from markupsafe import Markup

from mtlkit.errors import RunError
from mtlkit.loggers.events import Event
from mtlkit.report.blocks import Block, Chart, Gallery, Section, Table, Text
from mtlkit.report.charts import Drawing, draw
from mtlkit.report.evaluation import Evaluation
from mtlkit.report.history import duration, speed_section, training_section

LONG = 40
"""From how many characters on the text of a cell is broken into lines."""


@attrs.frozen(kw_only=True)
class RunRecord:
    """All that a report says of one run."""

    name: str
    evaluation: Evaluation
    events: Sequence[Event] = ()
    recipe: str = ""  # resolved, as YAML
    versions: Mapping[str, str] = attrs.field(factory=dict)  # of everything that took part


def render_page(run: RunRecord, beside: Sequence[RunRecord] = ()) -> str:
    """The report of `run` as HTML, with other runs beside it where they can be compared.

    Raises `RunError` where two runs have one name.
    """
    others = {other.name: other for other in beside}
    if len(others) < len(beside) or run.name in others:
        names = ", ".join([run.name, *(other.name for other in beside)])
        raise RunError(f"the runs of a report need different names, found {names}")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mtlkit.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    drawer = _Drawer(run, others)
    environment.filters["number"] = number
    environment.filters["breakable"] = _breakable
    environment.filters["drawing"] = drawer.drawing
    environment.filters["png"] = _png
    environment.filters["wordy"] = _wordy
    environment.tests |= {
        kind.__name__.lower(): _is(kind) for kind in (Text, Table, Chart, Gallery)
    }
    sections = [*run.evaluation.sections]
    sections += [s for s in (training_section(run.events), speed_section(run.events)) if s]
    return environment.get_template("page.html").render(
        run=run,
        headlines=_headlines(run, beside),
        sections=[(f"section-{i}", s.title, _rows(s.blocks)) for i, s in enumerate(sections)],
        comparison=_comparison([run, *beside]) if beside else None,
        metrics=_every_metric([run, *beside]),
    )


def number(value: str | int | float | None) -> str:
    """A cell as text: whole numbers in full, others to four digits.

    >>> number(1234567), number(0.51239), number(12.5), number(float("nan")), number("left")
    ('1,234,567', '0.5124', '12.50', '–', 'left')
    """
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"  # noqa: RUF001 - a dash is what a table wants
    if isinstance(value, str):
        return value
    if isinstance(value, int) or value.is_integer():
        return f"{int(value):,}"
    size = abs(value)
    if size < 1e-3:
        return f"{value:.3g}"
    return f"{value:,.{4 if size < 1 else 3 if size < 10 else 2 if size < 100 else 1}f}"


def _wordy(table: Table) -> set[int]:
    """The columns in which there are sentences rather than figures and names."""
    return {
        place
        for row in table.rows
        for place, cell in enumerate(row)
        if isinstance(cell, str) and len(cell) > LONG
    }


class _Drawer:
    """Draws the charts of a run, each with ids of its own, and those of other runs into them."""

    def __init__(self, run: RunRecord, others: Mapping[str, RunRecord]) -> None:
        self._name = run.name
        self._numbers = itertools.count()
        self._others = {
            name: {chart.title: chart for chart in _charts(other.evaluation.sections)}
            for name, other in others.items()
        }

    def drawing(self, chart: Chart) -> dict[str, Any]:
        """What the template needs of a chart: SVG and legend, the latter only if it tells more."""
        others = {
            name: charts[chart.title]
            for name, charts in self._others.items()
            if chart.comparable and chart.title in charts
        }
        drawing: Drawing = draw(chart, others, self._name, f"chart-{next(self._numbers)}")
        legend = drawing.legend if len(drawing.legend) > 1 else ()
        return {"svg": Markup(drawing.svg), "legend": legend}


def _charts(sections: Sequence[Section]) -> Iterator[Chart]:
    return (b for section in sections for b in section.blocks if isinstance(b, Chart))


def _breakable(path: str) -> Markup:
    """A metric's name that may be broken after a slash."""
    return Markup("/<wbr>").join(path.split("/"))


def _is(kind: type) -> Any:
    return lambda block: isinstance(block, kind)


def _rows(blocks: Sequence[Block]) -> list[list[Block]]:
    """The blocks, with neighbouring charts together, so that they may stand side by side."""
    rows = itertools.groupby(blocks, key=lambda block: isinstance(block, Chart))
    return [list(group) for _, group in rows]


def _headlines(run: RunRecord, beside: Sequence[RunRecord]) -> list[dict[str, Any]]:
    found = []
    for name in run.evaluation.headlines:
        if name in run.evaluation.metrics:
            others = [
                (o.name, o.evaluation.metrics[name]) for o in beside if name in o.evaluation.metrics
            ]
            found.append({"name": name, "value": run.evaluation.metrics[name], "others": others})
    return found


def _comparison(runs: Sequence[RunRecord]) -> Table:
    """Budget and headlines side by side: a metric means little without what it cost."""
    budgets = [run.evaluation.budget for run in runs]
    rows: list[tuple[str | int | float, ...]] = []
    for name in dict.fromkeys(name for budget in budgets for name in budget):
        values = [budget.get(name, math.nan) for budget in budgets]
        if name == "seconds":
            rows.append(("training time", *(duration(v) if v == v else v for v in values)))
        else:
            rows.append((name, *values))
    rows += _metrics(runs, dict.fromkeys(n for run in runs for n in run.evaluation.headlines))
    return Table(header=("", *(run.name for run in runs)), rows=tuple(rows))


def _every_metric(runs: Sequence[RunRecord]) -> Table:
    header = ("", *(run.name for run in runs)) if len(runs) > 1 else ("", "")
    names = dict.fromkeys(name for run in runs for name in run.evaluation.metrics)
    return Table(header=header, rows=tuple(_metrics(runs, names)))


def _metrics(
    runs: Sequence[RunRecord], names: Iterable[str]
) -> list[tuple[str | int | float, ...]]:
    """The metrics called `names` of each run; NaN where a run does not have one."""
    return [(name, *(run.evaluation.metrics.get(name, math.nan) for run in runs)) for name in names]


def _png(encoded: str) -> str:
    """The base64 text of a PNG, checked: what is no PNG must not get into the page."""
    try:
        start = base64.b64decode(encoded, validate=True)[:8]
    except binascii.Error as cause:
        raise RunError(f"a picture of the report is no base64 text ({cause})") from cause
    if start != b"\x89PNG\r\n\x1a\n":
        raise RunError("a picture of the report is no PNG")
    return encoded
