"""The score of a search for weights over each weight, as one SVG."""

import io
from collections.abc import Mapping, Sequence

import attrs
import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator


@attrs.frozen(kw_only=True)
class TrialPoint:
    """A trial: its weights by the name of the loss, and its score (lower is better)."""

    weights: Mapping[str, float]
    score: float


def draw_trials(points: Sequence[TrialPoint], bounds: tuple[float, float]) -> str:
    """Draw the score over each weight within `bounds`, with the first and best trial marked."""
    names = list(points[0].weights)
    best = min(points, key=lambda point: point.score)
    figure = Figure(figsize=(1.4 + 2.6 * len(names), 3.2), layout="constrained")
    FigureCanvasSVG(figure)
    with matplotlib.rc_context({"svg.hashsalt": "tuning", "text.parse_math": False}):
        panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
        for axes, name in zip(panels, names, strict=True):
            axes.plot(*_over(name, points[1:]), "o", color="#4c72b0", alpha=0.7)
            axes.plot(*_over(name, points[:1]), "s", color="#8c8c8c", label="equal weights")
            axes.plot(*_over(name, [best]), "*", color="#c44e52", markersize=14, label="best")
            axes.set_xscale("log")
            axes.set_xlim(bounds[0] / 1.3, bounds[1] * 1.3)
            axes.xaxis.set_major_locator(LogLocator())
            axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.ticklabel_format(axis="y", useOffset=False)
            axes.set_xlabel(f"weight of {name}")
            axes.grid(alpha=0.3)
        panels[0].set_ylabel("distance from the best value / equal weights'")
        panels[0].legend(loc="upper left", framealpha=0.8)
        target = io.StringIO()
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    return target.getvalue()


def _over(name: str, points: Sequence[TrialPoint]) -> tuple[list[float], list[float]]:
    return [point.weights[name] for point in points], [point.score for point in points]
