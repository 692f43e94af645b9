"""The report: one HTML page that needs nothing outside itself."""

import base64
import binascii
import itertools
from collections.abc import Iterator, Mapping, Sequence
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
    environment.filters["drawing"] = drawer.drawing
    environment.filters["png"] = _png
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
    )


def number(value: str | int | float | None) -> str:
    """A cell as text: whole numbers in full, others to four significant digits.

    >>> number(1234567), number(0.51239), number(float("nan")), number("left")
    ('1,234,567', '0.5124', '–', 'left')
    """
    if value is None or value != value:
        return "–"  # noqa: RUF001 - a dash is what a table wants
    if isinstance(value, str):
        return value
    if isinstance(value, int) or (abs(value) >= 10_000 and value.is_integer()):
        return f"{int(value):,}"
    if value == 0 or 1e-3 <= abs(value) < 1:
        return f"{value:.4f}" if abs(value) < 0.1 else f"{value:.4g}"
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


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
    """Budget and metrics side by side: a metric means little without what it cost."""

    def rows(each: Sequence[Mapping[str, float]]) -> Iterator[tuple[str | float, ...]]:
        for name in dict.fromkeys(name for values in each for name in values):
            if name == "seconds":
                cells = [duration(v[name]) if name in v else "–" for v in each]  # noqa: RUF001
                yield ("training time", *cells)
            else:
                yield (name, *(values.get(name, float("nan")) for values in each))

    budgets, metrics = ([getattr(r.evaluation, key) for r in runs] for key in ("budget", "metrics"))
    header = ("", *(run.name for run in runs))
    return Table(header=header, rows=(*rows(budgets), *rows(metrics)))


def _png(encoded: str) -> str:
    """The base64 text of a PNG, checked: what is no PNG must not get into the page."""
    try:
        start = base64.b64decode(encoded, validate=True)[:8]
    except binascii.Error as cause:
        raise RunError(f"a picture of the report is no base64 text ({cause})") from cause
    if start != b"\x89PNG\r\n\x1a\n":
        raise RunError("a picture of the report is no PNG")
    return encoded
