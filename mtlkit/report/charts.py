"""Charts as inline SVG: colours come from the page's CSS, so that one drawing suits light and dark.

Every colour is drawn as a mark that no palette has, and replaced in the SVG by a CSS variable.
Matplotlib is used by its objects alone; its settings are changed for one drawing and put back.
"""

import io
import re
from collections.abc import Mapping
from html import escape
from typing import Any

import attrs
import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from mtlkit.report.blocks import Chart, Series

COLOURS = 8
"""How many series colours the page's style sheet has; further series use them again."""

_INK, _GRID = "#010203", "#010204"
_TICKS = 13  # the poses of Multi-PIE; more labels do not fit
_DASHES = ("solid", "dashed", "dotted", "dashdot")


@attrs.frozen
class Stroke:
    """How a series is drawn: the number of its colour, and that of its dashes."""

    colour: int
    dashes: int = 0


@attrs.frozen(kw_only=True)
class Drawing:
    """A chart drawn: the SVG, and its legend as (label, stroke)."""

    svg: str
    legend: tuple[tuple[str, Stroke], ...]


def draw(chart: Chart, others: Mapping[str, Chart], name: str, identifier: str) -> Drawing:
    """`chart` of the run `name`, with the same chart of other runs in the same axes.

    `identifier` makes the ids inside the SVG unique in a page.
    """
    curves = _curves(chart, others, name)
    figure = Figure(figsize=(4.9, 3.1), layout="constrained")
    FigureCanvasSVG(figure)
    settings: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": identifier,
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],
        "font.size": 10.5,
        "text.parse_math": False,
    }
    with matplotlib.rc_context(settings):
        axes = figure.add_subplot()
        _frame(axes, chart)
        kind = {"line": _lines, "bar": _bars, "area": _areas}[chart.kind]
        kind(axes, curves)
        if chart.y_log:
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 3)))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
            axes.yaxis.set_minor_locator(NullLocator())
        if chart.y_range is not None:
            axes.set_ylim(*chart.y_range)
        target = io.StringIO()
        figure.savefig(
            target,
            format="svg",
            transparent=True,
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )
    legend = tuple((label, stroke) for label, stroke, _ in curves)
    return Drawing(svg=_inline(target.getvalue(), chart, identifier), legend=legend)


_Curve = tuple[str, Stroke, Series]


def _curves(chart: Chart, others: Mapping[str, Chart], name: str) -> list[_Curve]:
    """All series with their labels: of one run by colour, those of others by dashes.

    A chart of one series in each run tells the runs apart by colour. A series that another run
    repeats, number for number (a baseline that does not depend on the model), is drawn once.
    """
    if not others:
        return [(key, Stroke(i), one) for i, (key, one) in enumerate(chart.series.items())]
    charts = {name: chart, **others}
    single = all(len(each.series) == 1 for each in charts.values())
    keys = list(dict.fromkeys(key for each in charts.values() for key in each.series))
    found: list[_Curve] = []
    for number, (run, each) in enumerate(charts.items()):
        for key, series in each.series.items():
            if any(series == drawn and label.endswith(key) for label, _, drawn in found):
                continue
            shared = all(other.series.get(key) == series for other in charts.values())
            label = key if shared else run if single else f"{run}: {key}"
            stroke = Stroke(number) if single else Stroke(keys.index(key), number)
            found.append((label, stroke, series))
    return found


def _frame(axes: Axes, chart: Chart) -> None:
    axes.set_xlabel(chart.x_label, color=_INK)
    axes.set_ylabel(chart.y_label, color=_INK)
    axes.tick_params(colors=_INK, length=0, pad=6)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(_GRID)
    axes.grid(axis="y", color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.margins(x=0.02)


def _positions(axes: Axes, curves: list[_Curve]) -> dict[str | int | float, float]:
    """Where each x stands: numbers at their value, words side by side with a tick each."""
    every = list(dict.fromkeys(x for _, _, series in curves for x in series.x))
    if all(isinstance(x, int | float) for x in every):
        if len(every) <= _TICKS:
            axes.set_xticks(
                sorted(map(float, every)), [f"{float(x):g}" for x in sorted(every, key=float)]
            )
        elif all(float(x).is_integer() for x in every):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        return {x: float(x) for x in every}
    places = {x: float(i) for i, x in enumerate(every)}
    _ticks(axes, places)
    return places


def _ticks(axes: Axes, places: Mapping[str | int | float, float]) -> None:
    labels = [str(x) for x in places]
    crowded = sum(len(label) + 2 for label in labels) > 58
    axes.set_xticks(
        list(places.values()),
        labels,
        rotation=45 if crowded else 0,
        ha="right" if crowded else "center",
    )


def _lines(axes: Axes, curves: list[_Curve]) -> None:
    places = _positions(axes, curves)
    for _, stroke, series in curves:
        axes.plot(
            [places[x] for x in series.x],
            series.y,
            color=_mark(stroke),
            linestyle=_DASHES[stroke.dashes % len(_DASHES)],
            linewidth=1.9,
            marker="o" if len(series.x) < 25 else None,
            markersize=3.2,
        )


def _bars(axes: Axes, curves: list[_Curve]) -> None:
    every = list(dict.fromkeys(x for _, _, series in curves for x in series.x))
    if all(isinstance(x, int | float) for x in every):
        every.sort(key=float)
    places = {x: float(i) for i, x in enumerate(every)}
    _ticks(axes, places)
    width = 0.8 / max(len(curves), 1)
    for number, (_, stroke, series) in enumerate(curves):
        shift = (number - (len(curves) - 1) / 2) * width
        axes.bar(
            [places[x] + shift for x in series.x],
            series.y,
            width=width * 0.92,
            color=_mark(stroke),
            alpha=1.0 / (1 + 0.6 * stroke.dashes),
        )


def _areas(axes: Axes, curves: list[_Curve]) -> None:
    places = _positions(axes, curves)
    for _, stroke, series in curves:
        x, y = np.array([places[x] for x in series.x]), np.array(series.y)
        dashes = _DASHES[stroke.dashes % len(_DASHES)]
        axes.plot(x, y, color=_mark(stroke), linestyle=dashes, linewidth=1.6)
        if stroke.dashes == 0:
            axes.fill_between(x, y, color=_mark(stroke), alpha=0.25, linewidth=0)
    axes.set_ylim(bottom=0)


def _mark(stroke: Stroke) -> str:
    return f"#0102{0x10 + stroke.colour % COLOURS:02x}"


def _inline(svg: str, chart: Chart, identifier: str) -> str:
    """The SVG without its prologue, scaling with the page, titled, and coloured by variables."""
    svg = re.sub(r"<!--.*?-->", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'\bid="', f'id="{identifier}-', svg)
    svg = svg.replace("url(#", f"url(#{identifier}-")
    svg = svg.replace('href="#', f'href="#{identifier}-')
    title = f'<title id="{identifier}-title">{escape(chart.title)}</title>'
    svg = svg.replace("<svg", f'<svg role="img" aria-labelledby="{identifier}-title"', 1)
    svg = re.sub(r"(<svg[^>]*>)", lambda found: found[1] + title, svg, count=1)
    svg = svg.replace("'DejaVu Sans', sans-serif", "inherit").replace("'DejaVu Sans'", "inherit")
    svg = svg.replace(_INK, "var(--muted)").replace(_GRID, "var(--line)")
    for colour in range(COLOURS):
        svg = svg.replace(_mark(Stroke(colour)), f"var(--series-{colour})")
    return svg.strip()
