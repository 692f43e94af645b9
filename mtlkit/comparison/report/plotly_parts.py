"""The parts of figures, as Plotly reads them; colours are CSS variables of the page.

A trace carries the method it belongs to in ``meta``, by which the page hides and shows it.
"""

import itertools
from collections.abc import Mapping
from typing import Any

import attrs

from mtlkit.comparison.analysis.statistics import Estimate
from mtlkit.comparison.results.study_results import BASELINE_ROLES, StudyResults

Trace = dict[str, Any]

COLOURS = 8
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star")
GLYPHS = {
    **dict(zip(SYMBOLS, "\u25cf\u25a0\u25c6\u25b2\u271a\u2605", strict=True)),
    **{"circle-open": "\u25cb", "square-open": "\u25a1", "diamond-open": "\u25c7"},
    **{"triangle-up-open": "\u25b3", "x-thin-open": "\u2715"},
}
"""The symbols in text."""

_BASELINE_SYMBOLS = (
    "square-open",
    "circle-open",
    "diamond-open",
    "triangle-up-open",
    "x-thin-open",
)


@attrs.frozen
class Look:
    """How a method is drawn everywhere: baselines in grey and hollow, the others in colour."""

    colour: str
    symbol: str

    @property
    def glyph(self) -> str:
        """The symbol as a character."""
        return GLYPHS[self.symbol]


@attrs.frozen(kw_only=True)
class Figure:
    """Traces with their layout; `rows` asks for the height of as many methods as are shown."""

    title: str
    traces: list[Trace]
    layout: dict[str, Any]
    caption: str = ""
    rows: bool = False
    wide: bool = False


@attrs.frozen(kw_only=True)
class Choice:
    """Figures of which the reader picks one, by name."""

    title: str
    asks: str  # what the names are
    options: Mapping[str, tuple[Figure, ...]]
    caption: str = ""


def looks(study: StudyResults) -> dict[str, Look]:
    """The look of each method."""
    baselines = {study.baseline(role): place for place, role in enumerate(BASELINE_ROLES)}
    found, colours = {}, itertools.count()
    for method in study.methods:
        if method in baselines:
            found[method] = Look("var(--muted)", _BASELINE_SYMBOLS[baselines[method]])
        else:
            number = next(colours)
            symbol = SYMBOLS[number // COLOURS % len(SYMBOLS)]
            found[method] = Look(f"var(--series-{number % COLOURS})", symbol)
    return found


AT = "{}<br>%{{x:.4g}}, %{{y:.4g}}<extra></extra>"
"""What hovering over a point shows."""


def interval(
    method: str, estimate: Estimate, look: Look, width: float, told: str, size: int = 9
) -> Trace:
    """A mean with its interval in the row of its method; `told` is added to what hovering shows."""
    known = estimate.low is not None and estimate.high is not None
    low, high = (estimate.low, estimate.high) if known else (estimate.mean, estimate.mean)
    trace: Trace = {
        **{"type": "scatter", "mode": "markers", "name": method, "meta": method},
        **{"x": [estimate.mean], "y": [method]},
        "marker": _marker(look, size),
        "error_x": {
            **{"type": "data", "symmetric": False, "color": look.colour},
            **{"thickness": width, "width": 0},
            "array": [(high or 0) - estimate.mean],
            "arrayminus": [estimate.mean - (low or 0)],
        },
    }
    if told == "skip":
        return trace | {"hoverinfo": "skip", "opacity": 0.75}
    said = f"{method}: {estimate.mean:.4g}"
    said += f"<br>{low:.4g} to {high:.4g}" if known else ""
    return trace | {"hovertemplate": f"{said}<br>{told}<extra></extra>"}


def seed_marks(
    method: str, scores: Mapping[int, Mapping[str, float]], task: str, look: Look
) -> Trace:
    """A stroke for each seed, in the row of its method."""
    return {
        **{"type": "scatter", "mode": "markers", "name": method, "meta": method},
        "x": [each[task] for each in scores.values()],
        "y": [method] * len(scores),
        "marker": {"color": look.colour, "symbol": "line-ns-open", "size": 9, "opacity": 0.55},
        "customdata": list(scores),
        "hovertemplate": f"{method}, seed %{{customdata}}: %{{x:.4g}}<extra></extra>",
    }


def method_point(method: str, x: float, y: float, look: Look, told: str) -> Trace:
    """A method as one point."""
    said = AT.format(method).replace("<extra>", f"<br>{told}<extra>" if told else "<extra>")
    return {
        **{"type": "scatter", "mode": "markers", "name": method, "meta": method},
        **{"x": [x], "y": [y], "hovertemplate": said},
        "marker": _marker(look, 11),
    }


def curve(name: str, points: Any, colour: str) -> Trace:
    """A line through `points`."""
    return {
        **{"type": "scatter", "mode": "lines", "name": name},
        "x": [x for x, _ in points],
        "y": [y for _, y in points],
        "line": {"color": colour, "width": 1.7},
    }


def axes(x_title: str, y_title: str) -> dict[str, Any]:
    """A layout with its axes named."""
    return {"xaxis": {"title": {"text": x_title}}, "yaxis": {"title": {"text": y_title}}}


def method_rows(x_title: str, zero: bool = False) -> dict[str, Any]:
    """Methods below each other, in the order of their traces."""
    axis = {"title": {"text": x_title}, "zeroline": zero}
    return {"xaxis": axis, "yaxis": {"type": "category", "showgrid": False}}


def _marker(look: Look, size: int) -> dict[str, Any]:
    hollow = look.symbol.endswith("-open")
    edge = {"width": 2 if hollow else 1, "color": look.colour if hollow else "var(--card)"}
    return {"color": look.colour, "symbol": look.symbol, "size": size, "line": edge}
