"""The styles of methods and verdicts in the charts of a study."""

import itertools
from collections.abc import Mapping

from mtlkit.comparison.results.study_results import BASELINE_ROLES, StudyResults
from mtlkit.report.blocks import Style
from mtlkit.report.overlay import COLORS, palette

MethodStyles = Mapping[str, Style]
"""The style of each method."""

VERDICTS = {
    "better": Style(color="var(--better)", symbol="circle"),
    "undecided": Style(color="var(--muted)", symbol="circle-open"),
    "worse": Style(color="var(--worse)", symbol="square"),
}

_BASELINES = ("square-open", "circle-open", "diamond-open", "triangle-up-open", "x-thin")
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star")


def method_styles(study: StudyResults) -> dict[str, Style]:
    """Return the style of each method: baselines hollow and gray, the others in color."""
    baselines = {study.baseline(role): place for place, role in enumerate(BASELINE_ROLES)}
    styles, numbers = {}, itertools.count()
    for method in study.methods:
        if method in baselines:
            styles[method] = Style(color="var(--muted)", symbol=_BASELINES[baselines[method]])
        else:
            number = next(numbers)
            symbol = _SYMBOLS[number // COLORS % len(_SYMBOLS)]
            styles[method] = Style(color=palette(number), symbol=symbol)
    return styles
