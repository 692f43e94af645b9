"""A table of the report, which page, Markdown and CSV each set in their own way."""

import csv
import io
import math
from collections.abc import Sequence

import attrs

from mtlkit.comparison.analysis.statistics import Estimate
from mtlkit.comparison.analysis.text import MINUS
from mtlkit.report.page import number

Cell = str | int | float | Estimate | None

DASH = "\N{EN DASH}"


@attrs.frozen(kw_only=True)
class Row:
    """Cells; those in the columns `best` are marked. `method` is whose row it is."""

    cells: tuple[Cell, ...]
    method: str | None = None
    best: frozenset[int] = frozenset()


@attrs.frozen(kw_only=True)
class ReportTable:
    """A table with a name for its file, of one problem or of the study."""

    name: str
    title: str
    header: tuple[str, ...]
    rows: tuple[Row, ...]
    caption: str = ""
    problem: str | None = None
    folded: bool = False
    signed: frozenset[int] = frozenset()  # columns of differences, in percent


def mark_best(rows: Sequence[Row], column: int, higher_is_better: bool = True) -> list[Row]:
    """The rows, with the best number of a column marked."""
    values = {place: _value(row.cells[column]) for place, row in enumerate(rows)}
    known = {place: value for place, value in values.items() if math.isfinite(value)}
    if len(known) < 2:
        return list(rows)
    top = max(known.values()) if higher_is_better else min(known.values())
    return [
        attrs.evolve(row, best=row.best | {column}) if known.get(place) == top else row
        for place, row in enumerate(rows)
    ]


def shown(cell: Cell, signed: bool = False) -> str:
    """A cell as text.

    >>> shown(Estimate(0.5, 0.4, 0.6, 5)), shown(Estimate(2.0, 1.0, 3.0, 5), signed=True)
    ('0.5000 [0.4000, 0.6000]', '+2.0 [+1.0, +3.0]')
    >>> shown(None) == DASH, shown(3), shown("ok")
    (True, '3', 'ok')
    """
    if isinstance(cell, Estimate):
        every = (
            [cell.mean]
            if cell.low is None or cell.high is None
            else [cell.mean, cell.low, cell.high]
        )
        mean, *bounds = [_text(x, True) if signed else number(x) for x in every]
        return f"{mean} [{', '.join(bounds)}]" if bounds else mean
    return _text(cell, signed)


def write_csv(sheets: Sequence[ReportTable]) -> str:
    """Sheets of one name as CSV; an interval becomes columns, what is unknown stays empty."""
    lines: list[dict[str, str | int | float]] = []
    columns: dict[str, None] = {}
    for sheet in sheets:
        for row in sheet.rows:
            line: dict[str, str | int | float] = {}
            if sheet.problem is not None:
                line["problem"] = sheet.problem
            for head, cell in zip(sheet.header, row.cells, strict=True):
                line |= _fields(head, cell)
            lines.append(line)
            columns |= dict.fromkeys(line)
    target = io.StringIO()
    writer = csv.DictWriter(target, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return target.getvalue()


def write_markdown(sheet: ReportTable) -> str:
    """The sheet as a table of GitHub's Markdown; the best numbers in bold."""
    if not sheet.rows:
        return ""
    lines = [_line(sheet.header), _line(["---", *["---:"] * (len(sheet.header) - 1)])]
    for row in sheet.rows:
        texts = [shown(cell, place in sheet.signed) for place, cell in enumerate(row.cells)]
        lines.append(_line([f"**{t}**" if i in row.best else t for i, t in enumerate(texts)]))
    caption = f"\n{sheet.caption}\n" if sheet.caption else ""
    return "\n".join(lines) + "\n" + caption


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|").replace("\n", " ") for cell in cells) + " |"


def _fields(head: str, cell: Cell) -> dict[str, str | int | float]:
    if not isinstance(cell, Estimate):
        return {head: "" if cell is None else cell}
    low, high = ("" if bound is None else bound for bound in (cell.low, cell.high))
    return {head: cell.mean, f"{head} low": low, f"{head} high": high, f"{head} n": cell.count}


def _text(cell: str | int | float | None, signed: bool) -> str:
    if isinstance(cell, float) and math.isfinite(cell) and not signed:
        whole = f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:.3g}"
        return whole if "e" in whole else whole.replace("-", MINUS)
    if not signed or not isinstance(cell, int | float):
        return number(cell)
    size = f"{abs(cell):.1f}"
    sign = "" if float(size) == 0 else "+" if cell > 0 else MINUS
    return sign + size


def _value(cell: Cell) -> float:
    if isinstance(cell, Estimate):
        return cell.mean
    return float(cell) if isinstance(cell, int | float) else math.nan
