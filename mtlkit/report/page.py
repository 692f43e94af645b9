"""The page of a report as a value, from which HTML and Markdown are rendered."""

from collections.abc import Mapping

import attrs

from mtlkit.report.blocks import Block, Chart, Style


@attrs.frozen
class Heading:
    """The title of the blocks that follow."""

    text: str


@attrs.frozen
class Finding:
    """One sentence of a verdict, and its kind, such as better or worse."""

    kind: str
    text: str


@attrs.frozen(kw_only=True)
class Findings:
    """The sentences of a verdict."""

    items: tuple[Finding, ...]


@attrs.frozen(kw_only=True)
class Facts:
    """Names with their texts."""

    items: Mapping[str, str]


@attrs.frozen(kw_only=True)
class Code:
    """Text in a fixed width."""

    text: str


@attrs.frozen(kw_only=True)
class ChartChoice:
    """Charts of which the reader picks some by a name; `asks` is what the names are."""

    title: str
    asks: str
    options: Mapping[str, tuple[Chart, ...]]
    caption: str = ""
    wide: bool = False


@attrs.frozen(kw_only=True)
class Diagram:
    """An SVG made for this page, which must be safe to include."""

    svg: str


PageBlock = Block | Heading | Findings | Facts | Code | ChartChoice | Diagram


@attrs.frozen(kw_only=True)
class PagePart:
    """A titled part of a page; a `folded` one shows its title only, until it is opened."""

    title: str
    blocks: tuple[PageBlock, ...]
    anchor: str
    folded: bool = False


@attrs.frozen(kw_only=True)
class Headline:
    """A metric shown in large type, with its value in other runs."""

    name: str
    value: float
    others: Mapping[str, float] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Page:
    """A report: headline numbers and pictures first, then its parts.

    `groups` are the styles of the groups that a reader can hide and show. Charts of an
    `interactive` page are drawn by Plotly, those of others are SVG.
    """

    title: str
    subject: str  # of the window's title
    lead: str = ""
    notices: tuple[str, ...] = ()
    headlines: tuple[Headline, ...] = ()
    opening: tuple[Chart | ChartChoice, ...] = ()
    groups: Mapping[str, Style] = attrs.field(factory=dict)
    parts: tuple[PagePart, ...] = ()
    interactive: bool = False
    footer: str = ""
