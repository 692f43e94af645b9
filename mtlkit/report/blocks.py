"""What a report is made of: plain values, kept as JSON in the run and drawn when a report is made.

Charts are data rather than pictures, so that two runs can be drawn into one chart.
"""

from collections.abc import Mapping

import attrs


@attrs.frozen(kw_only=True)
class Text:
    """A paragraph."""

    text: str


@attrs.frozen(kw_only=True)
class Table:
    """Rows of cells under a header; numbers are formatted by the report.

    A `folded` table shows its caption only, until it is opened.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str | int | float, ...], ...]
    caption: str = ""
    folded: bool = False


@attrs.frozen(kw_only=True)
class Series:
    """One curve, or one group of bars: y over x."""

    x: tuple[str | int | float, ...]
    y: tuple[float, ...]


@attrs.frozen(kw_only=True)
class Chart:
    """Named series with the same axes, drawn as lines, bars or filled histograms ("area").

    When a report shows other runs beside this one, charts with `comparable` set and the same
    title are drawn together.
    """

    title: str
    kind: str  # "line", "bar" or "area"
    x_label: str
    y_label: str
    series: Mapping[str, Series]
    y_range: tuple[float, float] | None = None
    y_log: bool = False
    comparable: bool = False
    caption: str = ""


@attrs.frozen(kw_only=True)
class Picture:
    """A PNG in base64, with what it shows."""

    png: str
    caption: str


@attrs.frozen(kw_only=True)
class Gallery:
    """Rows of pictures that belong together, such as a probe beside its gallery images.

    They are shown as thumbnails, or where it is `wide` as large as the page allows, row by row.
    """

    rows: tuple[tuple[Picture, ...], ...]
    caption: str = ""
    wide: bool = False


Block = Text | Table | Chart | Gallery


@attrs.frozen(kw_only=True)
class Section:
    """A titled part of a report."""

    title: str
    blocks: tuple[Block, ...]
