"""Charts as PNG, for what draws no SVG."""

import io
import re
from importlib.resources import files

from matplotlib.patches import Patch

from mtlkit.report.blocks import Chart
from mtlkit.report.overlay import styled
from mtlkit.report.svg import plot, size_of, svg_figure


def draw_png(chart: Chart) -> bytes:
    """Return the chart as a PNG on white, with its title and a legend."""
    chart = styled(chart)
    css = files("mtlkit.report").joinpath("style.css").read_text("utf-8")
    light = css[: css.index("@media")]
    colors = {f"var({name})": color for name, color in re.findall(r"(--[\w-]+): (#\w+)", light)}
    colors |= {
        one.style.color: colors.get(one.style.color, one.style.color or "C0")
        for one in chart.series.values()
    }
    target = io.BytesIO()
    with svg_figure(size_of(chart), "png") as figure:
        axes = figure.add_subplot()
        plot(axes, chart, colors)
        axes.set_title(chart.title)
        if len(chart.series) > 1:
            handles = [Patch(color=colors[one.style.color]) for one in chart.series.values()]
            axes.legend(handles, list(chart.series), fontsize=8.5, frameon=False)
        figure.savefig(target, format="png", dpi=120)
    return target.getvalue()
