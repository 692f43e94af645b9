"""The critical-difference diagram, as SVG whose colours are those of the page around it."""

import io
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd
from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from scikit_posthocs import critical_difference_diagram

from mtlkit.comparison.analysis.ranks import Ranking

_INK, _MARKS = "#010203", "#0102{:02x}"
"""Colours that no palette has, which become the page's variables."""


def draw_critical_difference(ranking: Ranking, colours: Mapping[str, str], identifier: str) -> str:
    """The critical-difference diagram as SVG: bars join methods that are not told apart.

    `colours` are the CSS colours of methods. What is drawn of a method carries its name as
    ``data-method``, so that a page can select it; `identifier` makes ids unique. Empty where fewer
    than two methods rank.
    """
    methods = list(ranking.ranks)
    if len(methods) < 2:
        return ""
    marks = {method: _MARKS.format(16 + number) for number, method in enumerate(methods)}
    figure = Figure(figsize=(8.6, 1.3 + 0.15 * len(methods)), layout="constrained")
    FigureCanvasSVG(figure)
    settings: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": identifier,
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],
        "font.size": 10.5,
    }
    with rc_context(settings):
        axes = figure.add_subplot()
        drawn = critical_difference_diagram(
            dict(ranking.ranks),
            _significance(ranking, methods),
            ax=axes,
            color_palette=marks,
            label_fmt_left="{label}  {rank:.1f}",
            label_fmt_right="{rank:.1f}  {label}",
            crossbar_props={"color": _INK, "linewidth": 3, "solid_capstyle": "round"},
            elbow_props={"linewidth": 1.4},
            text_h_margin=0.02 * len(methods),
        )
        axes.tick_params(colors=_INK, length=3)
        axes.spines["top"].set_color(_INK)
        for artists in (drawn["markers"], drawn["elbows"], drawn["labels"]):
            for artist, method in zip(artists, _drawing_order(methods), strict=True):
                artist.set_gid(f"{identifier}-{methods.index(method)}")
        target = io.StringIO()
        unsaid = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(target, format="svg", transparent=True, metadata=unsaid)
    svg = target.getvalue().replace(_INK, "var(--muted)")
    for method, mark in marks.items():
        svg = svg.replace(mark, colours[method])
    return _inline(svg, identifier, methods)


def _significance(ranking: Ranking, methods: Sequence[str]) -> pd.DataFrame:
    matrix = [[ranking.adjusted.get((a, b), 1.0) for b in methods] for a in methods]
    return pd.DataFrame(matrix, index=list(methods), columns=list(methods))


def _drawing_order(methods: Sequence[str]) -> list[str]:
    """The library draws the better half from the best on, then the others from the worst on."""
    half = (len(methods) + 1) // 2
    return [*methods[:half], *reversed(methods[half:])]


def _inline(svg: str, identifier: str, methods: Sequence[str]) -> str:
    """The SVG without its prologue, in the page's font, with ids that are its own alone."""
    svg = re.sub(r"<!--.*?-->", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    for size in ("width", "height"):
        svg = re.sub(rf'(<svg[^>]*?) {size}="[^"]*"', r"\1", svg, count=1)
    svg = svg.replace("'DejaVu Sans', sans-serif", "inherit").replace("'DejaVu Sans'", "inherit")
    for number, method in enumerate(methods):
        named = f'data-method="{escape(method)}"'
        svg = svg.replace(f'id="{identifier}-{number}"', named)
    svg = re.sub(r'\bid="', f'id="{identifier}-', svg)
    svg = svg.replace("url(#", f"url(#{identifier}-").replace('href="#', f'href="#{identifier}-')
    label = f"Critical-difference diagram of {len(methods)} methods"
    return svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1).strip()
