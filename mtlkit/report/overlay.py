"""The charts of several runs in one, and the styles and legend of a chart's series."""

from collections.abc import Mapping

import attrs

from mtlkit.report.blocks import Chart, Series, Style

COLORS = 8
"""The number of series colors in the style sheet; further series reuse them."""


def palette(number: int) -> str:
    """Return the CSS color of the series with this number."""
    return f"var(--series-{number % COLORS})"


def styled(chart: Chart) -> Chart:
    """Return the chart with a color for every series that has none."""
    series = {
        name: attrs.evolve(one, style=attrs.evolve(one.style, color=palette(number)))
        if not one.style.color
        else one
        for number, (name, one) in enumerate(chart.series.items())
    }
    return attrs.evolve(chart, series=series)


def legend(chart: Chart) -> dict[str, Style]:
    """Return the style of each legend entry; empty if a legend adds nothing."""
    entries: dict[str, Style] = {}
    for name, series in styled(chart).series.items():
        if series.label or not series.group:
            entries.setdefault(series.label or name, series.style)
    explicit = any(series.label for series in chart.series.values())
    return entries if len(entries) > 1 or explicit else {}


def overlay(name: str, chart: Chart, others: Mapping[str, Chart]) -> Chart:
    """Return `chart` of the run `name` with the series of the same chart of other runs.

    The runs differ by color in charts of one series, and by dashes in others. A series that
    another run repeats exactly, such as a baseline without a model, is drawn once.
    """
    if not others:
        return chart
    charts = {name: chart, **others}
    single = all(len(one.series) == 1 for one in charts.values())
    keys = list(dict.fromkeys(key for one in charts.values() for key in one.series))
    merged: dict[str, Series] = {}
    drawn: list[tuple[str, Series]] = []
    for number, (run, one) in enumerate(charts.items()):
        for key, series in one.series.items():
            if (key, series) in drawn:
                continue
            shared = all(other.series.get(key) == series for other in charts.values())
            label = key if shared else run if single else f"{run}: {key}"
            color, dash = (number, 0) if single else (keys.index(key), number)
            style = attrs.evolve(series.style, color=palette(color), dash=dash)
            drawn.append((key, series))
            merged[label] = attrs.evolve(series, style=style)
    return attrs.evolve(chart, series=merged)
