"""A page as HTML: one file that needs nothing outside itself."""

import base64
import binascii
import functools
import gzip
import itertools
import json
import math
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup, escape

from mtlkit.errors import RunError
from mtlkit.report.blocks import Cell, Chart, Estimate, Gallery, TableBlock, Text
from mtlkit.report.interactive import plotly_figure
from mtlkit.report.numbers import number
from mtlkit.report.overlay import legend
from mtlkit.report.page import ChartChoice, Code, Diagram, Facts, Findings, Heading, Page, PageBlock

LONG = 40
"""Cells with more characters than this are broken into lines."""

GLYPHS = {
    **{"circle": "\u25cf", "square": "\u25a0", "diamond": "\u25c6", "triangle-up": "\u25b2"},
    **{"cross": "\u271a", "star": "\u2605", "circle-open": "\u25cb", "square-open": "\u25a1"},
    **{"diamond-open": "\u25c7", "triangle-up-open": "\u25b3", "x-thin": "\u2715"},
}
"""The symbols of series in text."""

KINDS = (Text, TableBlock, Chart, Gallery, Heading, Findings, Facts, Code, ChartChoice, Diagram)

_FIGURES = "@@figures@@"


def render_html(page: Page) -> str:
    """Return the page as HTML."""
    figures = _Figures()
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mtlkit.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        **{"cell": _cell, "breakable": _breakable, "wordy": _wordy, "png": _png, "rows": _rows},
        **{"legend": legend, "svg": figures.svg, "figure": figures.store},
    }
    environment.tests |= {kind.__name__.lower(): _is(kind) for kind in KINDS}
    html = environment.get_template("page.html").render(
        page=page,
        glyphs=GLYPHS,
        plotly=Markup(_packed_plotly()) if page.interactive else "",
        script=Markup(_script()) if page.interactive else "",
        figures=Markup(_FIGURES),
    )
    # charts are collected while the template is filled in
    return html.replace(_FIGURES, figures.as_json(), 1)


class _Figures:
    """Draws the charts of a page, or collects them for its script."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._stored: dict[str, dict[str, Any]] = {}

    def svg(self, chart: Chart) -> Markup:
        from mtlkit.report.svg import draw  # imports matplotlib, for pages with charts only

        return Markup(draw(chart, f"chart-{next(self._numbers)}"))

    def store(self, chart: Chart) -> str:
        name = f"figure-{len(self._stored)}"
        keys = [
            {"label": label, "color": style.color, "glyph": GLYPHS.get(style.symbol, "\u2501")}
            for label, style in legend(chart).items()
        ]
        details = {"title": chart.title, "legend": keys, "caption": chart.caption}
        self._stored[name] = plotly_figure(chart) | details
        return name

    def as_json(self) -> str:
        """Return the stored charts as JSON that may stand in HTML."""
        value = _short(self._stored)
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return text.replace("<", "\\u003c")


def _short(value: Any) -> Any:
    """Return the value with numbers to five digits, and None for those that are not finite."""
    if isinstance(value, float):
        return float(f"{value:.5g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _short(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_short(item) for item in value]
    return value


def _cell(cell: Cell, difference: bool = False) -> str | Markup:
    text = number(cell, difference=difference)
    if not isinstance(cell, Estimate) or "[" not in text:
        return text
    mean, bounds = text.split(" ", 1)
    return Markup('{}<span class="interval">{}</span>').format(mean, bounds)


def _breakable(path: str) -> Markup:
    """Return a metric's name that may be broken after a slash."""
    return Markup(str(escape(path)).replace("/", "/<wbr>"))


def _wordy(table: TableBlock) -> set[int]:
    """Return the columns that hold sentences rather than numbers and names."""
    return {
        column
        for row in table.rows
        for column, cell in enumerate(row)
        if isinstance(cell, str) and len(cell) > LONG
    }


def _rows(blocks: Sequence[PageBlock]) -> list[list[PageBlock]]:
    """Return the blocks with neighboring charts together, so that they can be side by side."""
    rows = itertools.groupby(blocks, key=lambda block: isinstance(block, Chart | ChartChoice))
    return [list(group) for _, group in rows]


def _is(kind: type) -> Any:
    return lambda block: isinstance(block, kind)


def _png(encoded: str) -> str:
    """Return the base64 text of a PNG; `RunError` if it is anything else."""
    try:
        start = base64.b64decode(encoded, validate=True)[:8]
    except binascii.Error as cause:
        raise RunError(f"a picture of the report is not base64 text ({cause})") from cause
    if start != b"\x89PNG\r\n\x1a\n":
        raise RunError("a picture of the report is not a PNG")
    return encoded


@functools.cache
def _packed_plotly() -> str:
    from plotly.offline import get_plotlyjs

    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), 9, mtime=0)).decode()


def _script() -> str:
    text = files("mtlkit.report").joinpath("page.js").read_text("utf-8")
    return re.sub(r"^ *// .*\n", "", text, flags=re.MULTILINE)
