"""Charts as Plotly figures, drawn by the page's script; colors are CSS variables of the page.

A trace carries the group of its series in ``meta``, by which the page hides and shows it.
"""

from typing import Any

from mtlkit.report.blocks import Chart, Series, Style
from mtlkit.report.labels import label_sides
from mtlkit.report.overlay import styled

Trace = dict[str, Any]

DASHES = ("solid", "dash", "dot", "dashdot")


def plotly_figure(chart: Chart) -> dict[str, Any]:
    """Return the traces and the layout of a chart as plain values."""
    chart = styled(chart)
    sides = label_sides(chart) if chart.labeled else {}
    traces = []
    for name, series in chart.series.items():
        trace = _TRACES[chart.kind](name, series)
        if name in sides:
            trace |= {
                **{"mode": "markers+text", "text": [name], "textposition": sides[name]},
                "textfont": {"size": 11.5, "color": series.style.color},
            }
        traces.append(trace | {"name": name, "meta": series.group or None})
    rows = chart.kind == "intervals"
    across, up = (chart.y_label, chart.x_label) if rows else (chart.x_label, chart.y_label)
    x_axis: dict[str, Any] = {"title": {"text": across}}
    y_axis: dict[str, Any] = {"title": {"text": up}}
    (x_axis if rows else y_axis)["zeroline"] = chart.zero
    for axis, log in ((x_axis, chart.x_log), (y_axis, chart.y_log)):
        axis |= {"type": "log", "dtick": 1} if log else {}
    if rows:
        x_axis |= {"nticks": 8}
        y_axis |= {"type": "category", "showgrid": False, "autorange": "reversed"}
    if chart.y_range is not None:
        y_axis |= {"range": list(chart.y_range)}
    layout: dict[str, Any] = {"xaxis": x_axis, "yaxis": y_axis}
    if chart.kind == "line" and not any(series.group for series in chart.series.values()):
        layout["hovermode"] = "x unified"
    return {"traces": traces, "layout": layout, "rows": rows}


def _line(name: str, series: Series) -> Trace:
    few = len(series.x) < 25
    style = series.style
    trace: Trace = {
        **{"type": "scatter", "mode": "lines+markers" if few else "lines"},
        **{"x": list(series.x), "y": list(series.y)},
        "line": {"color": style.color, "width": 1.7, "dash": DASHES[style.dash % len(DASHES)]},
    }
    if few:
        trace["marker"] = _marker(style, 7)
    return trace | _hover(name, series)


def _bar(name: str, series: Series) -> Trace:
    marker = {"color": series.style.color}
    return {"type": "bar", "x": list(series.x), "y": list(series.y), "marker": marker}


def _area(name: str, series: Series) -> Trace:
    return _line(name, series) | {"fill": "tozeroy"}


def _points(name: str, series: Series) -> Trace:
    style = series.style
    trace: Trace = {"type": "scatter", "x": list(series.x), "y": list(series.y)}
    if style.line not in ("", "none"):
        line = {"color": style.color, "width": 1.2, "shape": style.line}
        return trace | {"mode": "lines", "line": line, "hoverinfo": "skip"}
    size = 11 if series.group else 6
    marker = _marker(style, size) | ({} if series.group else {"opacity": 0.6})
    return trace | {"mode": "markers", "marker": marker} | _hover(name, series)


def _intervals(name: str, series: Series) -> Trace:
    style = series.style
    size, opacity = (9, 0.55) if style.symbol == "tick" else (10, 1)
    trace: Trace = {
        **{"type": "scatter", "mode": "markers", "x": list(series.y), "y": list(series.x)},
        "marker": _marker(style, size) | {"opacity": opacity},
    }
    if series.low:
        trace["error_x"] = {
            **{"type": "data", "symmetric": False, "color": style.color},
            **{"thickness": 3.5, "width": 0},
            "array": [high - y for high, y in zip(series.high, series.y, strict=True)],
            "arrayminus": [y - low for low, y in zip(series.low, series.y, strict=True)],
        }
    return trace | _hover(name, series)


_TRACES = {"line": _line, "bar": _bar, "area": _area, "points": _points, "intervals": _intervals}


def _hover(name: str, series: Series) -> Trace:
    if series.notes:
        return {"customdata": list(series.notes), "hovertemplate": "%{customdata}<extra></extra>"}
    return {"hovertemplate": f"{name}<br>%{{x:.4g}}, %{{y:.4g}}<extra></extra>"}


def _marker(style: Style, size: int) -> dict[str, Any]:
    symbol = {"": "circle", "tick": "line-ns-open", "x-thin": "x-thin-open"}.get(
        style.symbol, style.symbol
    )
    hollow = symbol.endswith("-open")
    edge = {"width": 2 if hollow else 1, "color": style.color if hollow else "var(--card)"}
    return {"color": style.color, "symbol": symbol, "size": size, "line": edge}
