"""The blocks of a report: plain values, stored as JSON in a run and drawn when a page is made.

Charts are data rather than pictures, so that several runs can share one chart and a page can choose
its backend: inline SVG (`mtlkit.report.svg`) or Plotly (`mtlkit.report.interactive`).
"""

import math
from collections.abc import Mapping

import attrs

from mtlkit.component import one_of

KINDS = ("line", "bar", "area", "points", "intervals")
"""The kinds of charts."""


@attrs.frozen
class Estimate:
    """A mean of `count` values, with its interval if there is more than one."""

    mean: float
    low: float | None = None
    high: float | None = None
    count: int = 1


Cell = str | int | float | Estimate | None
"""A cell of a table; None is an unknown value."""


@attrs.frozen(kw_only=True)
class Text:
    """A paragraph."""

    text: str


@attrs.frozen(kw_only=True)
class TableBlock:
    """Rows of cells under a header; numbers are formatted by the report.

    A `folded` table shows its title or caption only, until it is opened. `groups` names the group
    that each row belongs to, `best` lists the (row, column) pairs in bold, and `signed` the columns
    of differences. A table with a `name` is also written to a file of that name.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""
    folded: bool = False
    title: str = ""
    name: str = ""
    groups: tuple[str, ...] = ()
    best: tuple[tuple[int, int], ...] = ()
    signed: tuple[int, ...] = ()

    def mark_best(self, columns: Mapping[int, bool]) -> "TableBlock":
        """Return the table with the best number of each column in bold.

        `columns` holds whether higher is better. A column with fewer than two numbers has no best.
        """
        best = []
        for column, higher_is_better in columns.items():
            values = {row: _value(cells[column]) for row, cells in enumerate(self.rows)}
            known = {row: value for row, value in values.items() if math.isfinite(value)}
            if len(known) > 1:
                top = (max if higher_is_better else min)(known.values())
                best += [(row, column) for row, value in known.items() if value == top]
        return attrs.evolve(self, best=(*self.best, *best))


def _value(cell: Cell) -> float:
    if isinstance(cell, Estimate):
        return cell.mean
    return float(cell) if isinstance(cell, int | float) else math.nan


@attrs.frozen(kw_only=True)
class Style:
    """The look of a series; the chart chooses what is left empty.

    `color` is a CSS color such as ``var(--better)``. `symbol` is circle, square, diamond,
    triangle-up, cross, star or x-thin, with ``-open`` if hollow, or tick. `line` is none, straight,
    or the steps of a front, hv or vh.
    """

    color: str = ""
    symbol: str = ""
    line: str = ""
    dash: int = 0


@attrs.frozen(kw_only=True)
class Series:
    """One curve, one group of bars, or one set of points: y over x.

    `low` and `high` bound each y. `notes` are shown for each point by charts that can be hovered.
    Series of one `group` are hidden and shown together; those of one `label` share a line of the
    legend, which is otherwise the name of the series.
    """

    x: tuple[str | int | float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()
    group: str = ""
    label: str = ""
    style: Style = attrs.field(factory=Style)


@attrs.frozen(kw_only=True)
class Chart:
    """Named series with the same axes.

    Kinds: "line", "bar", "area" (filled histograms), "points", and "intervals", whose names x are
    rows and whose values y, with their bounds, run along them. Charts with `comparable` set and the
    same title are drawn together if a report shows several runs. `zero` marks zero on the value
    axis, and `labeled` writes names of series next to their points.
    """

    title: str
    kind: str = attrs.field(validator=one_of(*KINDS))
    x_label: str
    y_label: str
    series: Mapping[str, Series]
    y_range: tuple[float, float] | None = None
    y_log: bool = False
    x_log: bool = False
    zero: bool = False
    labeled: bool = False
    comparable: bool = False
    caption: str = ""


@attrs.frozen(kw_only=True)
class Picture:
    """A PNG in base64, and its caption."""

    png: str
    caption: str


@attrs.frozen(kw_only=True)
class Gallery:
    """Rows of pictures that belong together, such as a probe and its gallery images.

    They are shown as thumbnails, or, if it is `wide`, as large as the page allows, row by row.
    """

    rows: tuple[tuple[Picture, ...], ...]
    caption: str = ""
    wide: bool = False


Block = Text | TableBlock | Chart | Gallery


@attrs.frozen(kw_only=True)
class Section:
    """A titled part of a report."""

    title: str
    blocks: tuple[Block, ...]
