"""Charts as SVG by Matplotlib; colors are CSS variables, so one drawing suits light and dark pages.

Each color is drawn as a placeholder that no palette contains, then replaced in the SVG. Matplotlib
is used through its objects only, and its settings are restored after each drawing.
"""

import io
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from html import escape
from importlib.resources import files
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from mtlkit.report.blocks import Chart, Series
from mtlkit.report.labels import label_sides
from mtlkit.report.overlay import styled

INK, GRID = "var(--muted)", "var(--line)"
_TICKS = 13  # more labels overlap
_ROTATED = 58  # characters that fit next to each other
_DASHES = ("solid", "dashed", "dotted", "dashdot")
_MARKERS = {
    **{"": "o", "circle": "o", "square": "s", "diamond": "D", "triangle-up": "^", "cross": "P"},
    **{"star": "*", "x-thin": "x", "tick": "|"},
}
_OFFSETS = {
    "middle right": ((6, 0), "left", "center"),
    "middle left": ((-6, 0), "right", "center"),
    "top center": ((0, 5), "center", "bottom"),
    "bottom center": ((0, -5), "center", "top"),
}
_STEPS = {"hv": "steps-post", "vh": "steps-pre"}


def draw(chart: Chart, identifier: str) -> str:
    """Return the chart as SVG for a page; `identifier` makes its ids unique in the page."""
    chart = styled(chart)
    colors = placeholders([INK, GRID, *(one.style.color for one in chart.series.values())])
    with svg_figure(size_of(chart), identifier) as figure:
        plot(figure.add_subplot(), chart, colors)
        target = to_svg(figure)
    return inline(target, identifier, chart.title, colors)


def plot(axes: Axes, chart: Chart, colors: Mapping[str, str]) -> None:
    """Draw the chart into `axes`, with the color to draw of each CSS color."""
    _frame(axes, chart, colors)
    for number, (name, series) in enumerate(chart.series.items()):
        _DRAW[chart.kind](axes, _Curve(chart, name, series, number, colors[series.style.color]))
    if chart.kind == "area":
        axes.set_ylim(bottom=0)
    _scale(axes, chart)


def draw_file(chart: Chart) -> str:
    """Return the chart as an SVG file, with the palette of the pages in it."""
    svg = draw(chart, "chart").replace("inherit", "sans-serif")
    css = files("mtlkit.report").joinpath("style.css").read_text("utf-8")
    palette = css[: css.index("* {")]
    start = svg.index(">") + 1
    size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    assert size is not None
    opening = svg[: start - 1] + f' width="{size[1]}pt" height="{size[2]}pt">'
    return f"{opening}<style>{palette}</style>{svg[start:]}\n"


def placeholders(colors: Iterable[str]) -> dict[str, str]:
    """Return a placeholder color for each CSS color."""
    return {color: f"#0102{number + 3:02x}" for number, color in enumerate(dict.fromkeys(colors))}


@contextmanager
def svg_figure(size: tuple[float, float], identifier: str) -> Iterator[Figure]:
    """Yield an empty figure with the settings of SVGs, which are restored afterwards."""
    settings: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": identifier,
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],
        "font.size": 10.5,
        "text.parse_math": False,
    }
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasSVG(figure)
    with matplotlib.rc_context(settings):
        yield figure


def to_svg(figure: Figure) -> str:
    """Return the figure as SVG without metadata and background."""
    target = io.StringIO()
    for patch in (figure.patch, *(axes.patch for axes in figure.axes)):
        patch.set(facecolor="none", edgecolor="none")
    metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    canvas: Any = FigureCanvasSVG(figure)  # without types; `savefig` draws the figure twice
    canvas.print_svg(target, metadata=metadata)
    return target.getvalue()


def inline(svg: str, identifier: str, title: str, colors: Mapping[str, str]) -> str:
    """Return the SVG for a page: no prologue or fixed size, unique ids, a title, CSS colors."""
    svg = re.sub(r"<!--.*?-->", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    for size in ("width", "height"):
        svg = re.sub(rf'(<svg[^>]*?) {size}="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'\bid="', f'id="{identifier}-', svg)
    svg = svg.replace("url(#", f"url(#{identifier}-").replace('href="#', f'href="#{identifier}-')
    label = f'<svg role="img" aria-labelledby="{identifier}-title"'
    svg = svg.replace("<svg", label, 1)
    heading = f'<title id="{identifier}-title">{escape(title)}</title>'
    svg = re.sub(r"(<svg[^>]*>)", lambda match: match[1] + heading, svg, count=1)
    svg = svg.replace("'DejaVu Sans', sans-serif", "inherit").replace("'DejaVu Sans'", "inherit")
    for color, placeholder in colors.items():
        svg = svg.replace(placeholder, color)
    return svg.strip()


class _Curve:
    """A series of a chart with its place in it and its placeholder color."""

    def __init__(self, chart: Chart, name: str, series: Series, number: int, color: str) -> None:
        self.name, self.series, self.color, self.number = name, series, color, number
        self.count, self.style = len(chart.series), series.style
        self.dashes = _DASHES[series.style.dash % len(_DASHES)]
        self.positions = _positions(chart)
        self.x = np.array([self.positions[x] for x in series.x])
        self.side = label_sides(chart).get(name) if chart.labeled else None

    @property
    def marker(self) -> dict[str, Any]:
        hollow = self.style.symbol.endswith("-open")
        return {
            "marker": _MARKERS[self.style.symbol.removesuffix("-open")],
            "markerfacecolor": "none" if hollow else self.color,
            "markeredgecolor": self.color,
        }


def _categories(chart: Chart) -> list[str | int | float]:
    return list(dict.fromkeys(x for series in chart.series.values() for x in series.x))


def _positions(chart: Chart) -> dict[str | int | float, float]:
    """Return the position of each x: numbers at their value, names and bars at whole numbers."""
    categories = _categories(chart)
    if all(isinstance(x, int | float) for x in categories):
        if chart.kind not in ("bar", "intervals"):
            return {x: float(x) for x in categories}
        categories.sort(key=float)
    return {x: float(position) for position, x in enumerate(categories)}


def size_of(chart: Chart) -> tuple[float, float]:
    if chart.kind == "intervals":
        return 4.9, 0.75 + 0.27 * max(2, len(_categories(chart)))
    return 4.9, 3.1


def _frame(axes: Axes, chart: Chart, colors: Mapping[str, str]) -> None:
    rows = chart.kind == "intervals"
    across, up = (chart.y_label, chart.x_label) if rows else (chart.x_label, chart.y_label)
    axes.set_xlabel(across, color=colors[INK])
    axes.set_ylabel(up, color=colors[INK])
    axes.tick_params(colors=colors[INK], length=0, pad=6)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(colors[GRID])
    axes.grid(axis="x" if rows else "y", color=colors[GRID], linewidth=0.8)
    axes.set_axisbelow(True)
    axes.margins(x=0.02)
    if chart.zero:
        line = axes.axvline if rows else axes.axhline
        line(0, color=colors[INK], linewidth=1)
    _ticks(axes, chart)


def _ticks(axes: Axes, chart: Chart) -> None:
    positions = _positions(chart)
    numbers = all(isinstance(x, int | float) for x in positions)
    if chart.kind == "intervals":
        axes.set_yticks(list(positions.values()), [str(x) for x in positions])
        axes.invert_yaxis()
    elif chart.kind == "bar" or not numbers:
        crowded = sum(len(str(x)) + 2 for x in positions) > _ROTATED
        rotation, align = (45, "right") if crowded else (0, "center")
        labels = [str(x) for x in positions]
        axes.set_xticks(list(positions.values()), labels, rotation=rotation, ha=align)
    elif chart.kind != "points" and not chart.x_log and _fit(positions.values()):
        places = sorted(positions.values())
        axes.set_xticks(places, [f"{x:g}" for x in places])
    elif all(x.is_integer() for x in positions.values()):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _fit(positions: Iterable[float]) -> bool:
    """Return whether there is room for a tick at every position."""
    labels = [f"{x:g}" for x in positions]
    return len(labels) <= _TICKS and sum(len(label) + 2 for label in labels) <= _ROTATED


def _scale(axes: Axes, chart: Chart) -> None:
    for log, axis, scale in (
        (chart.y_log, axes.yaxis, axes.set_yscale),
        (chart.x_log, axes.xaxis, axes.set_xscale),
    ):
        if log:
            scale("log")
            low, high = axis.get_view_interval()
            narrow = high < 10 * low  # powers of ten and their triples give a tick or two
            axis.set_major_locator(MaxNLocator(4) if narrow else LogLocator(subs=(1, 3)))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_locator(NullLocator())
    if chart.y_range is not None:
        axes.set_ylim(*chart.y_range)


def _line(axes: Axes, curve: _Curve) -> None:
    few = len(curve.x) < 25
    axes.plot(
        curve.x,
        curve.series.y,
        color=curve.color,
        linestyle=curve.dashes,
        linewidth=1.9,
        markersize=3.2,
        **(curve.marker if few else {}),
    )


def _bar(axes: Axes, curve: _Curve) -> None:
    width = 0.8 / max(curve.count, 1)
    shift = (curve.number - (curve.count - 1) / 2) * width
    axes.bar(
        curve.x + shift,
        curve.series.y,
        width=width * 0.92,
        color=curve.color,
        alpha=1.0 / (1 + 0.6 * curve.style.dash),
    )


def _area(axes: Axes, curve: _Curve) -> None:
    y = np.array(curve.series.y)
    axes.plot(curve.x, y, color=curve.color, linestyle=curve.dashes, linewidth=1.6)
    if curve.style.dash == 0:
        axes.fill_between(curve.x, y, color=curve.color, alpha=0.25, linewidth=0)


def _points(axes: Axes, curve: _Curve) -> None:
    y = np.array(curve.series.y)
    if curve.style.line not in ("", "none"):
        steps = _STEPS.get(curve.style.line, "default")
        axes.plot(curve.x, y, color=curve.color, linewidth=1.2, drawstyle=steps)
        return
    size, alpha = (6, 1.0) if curve.series.group else (3.5, 0.6)
    axes.plot(
        curve.x,
        y,
        color=curve.color,
        linestyle="none",
        markersize=size,
        alpha=alpha,
        **curve.marker,
    )
    if curve.side is not None:
        offset, across, up = _OFFSETS[curve.side]
        axes.annotate(
            curve.name,
            (curve.x[0], y[0]),
            offset,
            textcoords="offset points",
            ha=across,
            va=up,
            fontsize=8.5,
            color=curve.color,
        )


def _interval(axes: Axes, curve: _Curve) -> None:
    series = curve.series
    for row, low, high in zip(curve.x, series.low, series.high, strict=bool(series.low)):
        axes.plot((low, high), (row, row), color=curve.color, linewidth=2.4, alpha=0.75)
    axes.plot(series.y, curve.x, color=curve.color, linestyle="none", markersize=6, **curve.marker)


_DRAW = {"line": _line, "bar": _bar, "area": _area, "points": _points, "intervals": _interval}
