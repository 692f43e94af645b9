"""The critical-difference diagram as SVG."""

from collections.abc import Mapping
from html import escape

import pandas as pd
from scikit_posthocs import critical_difference_diagram

from mtlkit.comparison.analysis.ranks import Ranking
from mtlkit.report.svg import INK, inline, placeholders, svg_figure, to_svg


def draw_critical_difference(ranking: Ranking, colors: Mapping[str, str], identifier: str) -> str:
    """Return the critical-difference diagram: bars join methods that do not differ significantly.

    `colors` are the CSS colors of methods. The parts of a method carry its name as ``data-group``,
    by which a page selects them; `identifier` makes ids unique. Empty for fewer than two methods.
    """
    methods = list(ranking.ranks)
    if len(methods) < 2:
        return ""
    ink = placeholders([INK])[INK]
    significance = [[ranking.adjusted.get((a, b), 1.0) for b in methods] for a in methods]
    half = (len(methods) + 1) // 2  # the library draws the better half best first
    drawing_order = [*methods[:half], *reversed(methods[half:])]
    marks = {method: f"#0103{number:02x}" for number, method in enumerate(methods)}
    with svg_figure((8.6, 1.3 + 0.15 * len(methods)), identifier) as figure:
        axes = figure.add_subplot()
        drawn = critical_difference_diagram(
            dict(ranking.ranks),
            pd.DataFrame(significance, index=methods, columns=methods),
            ax=axes,
            color_palette=marks,
            label_fmt_left="{label}  {rank:.1f}",
            label_fmt_right="{rank:.1f}  {label}",
            crossbar_props={"color": ink, "linewidth": 3, "solid_capstyle": "round"},
            elbow_props={"linewidth": 1.4},
            text_h_margin=0.02 * len(methods),
        )
        axes.tick_params(colors=ink, length=3)
        axes.spines["top"].set_color(ink)
        for artists in (drawn["markers"], drawn["elbows"], drawn["labels"]):
            for artist, method in zip(artists, drawing_order, strict=True):
                artist.set_gid(f"group-{methods.index(method)}")
        svg = to_svg(figure)
    for number, method in enumerate(methods):
        svg = svg.replace(f'id="group-{number}"', f'data-group="{escape(method)}"')
        svg = svg.replace(marks[method], colors[method])
    title = f"Critical-difference diagram of {len(methods)} methods"
    return inline(svg, identifier, title, {INK: ink})
