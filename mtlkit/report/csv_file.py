"""Tables as CSV files."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

from mtlkit.printable import printable_line
from mtlkit.report.blocks import Cell, Estimate, TableBlock

FORMULA = ("=", "+", "-", "@", "\t")
"""First characters of the cells that spreadsheets evaluate."""

Value = str | int | float | bool | None


def tables_csv(tables: Iterable[tuple[Mapping[str, str], TableBlock]]) -> str:
    """Return tables of one name as one CSV, each with the columns that identify it.

    An interval becomes columns, and an unknown value stays empty.
    """
    rows = []
    for identity, table in tables:
        for cells in table.rows:
            row: dict[str, Value] = dict(identity)
            for head, cell in zip(table.header, cells, strict=True):
                row |= _fields(head, cell)
            rows.append(row)
    return rows_csv(rows)


def rows_csv(rows: Sequence[Mapping[str, Value]], *, safe: bool = True) -> str:
    """Return the rows as CSV, with the columns of all of them.

    Each text is a `safe_cell`; with ``safe=False``, for programs, it is only quoted.
    """
    target = io.StringIO()
    columns = dict.fromkeys(name for row in rows for name in row)
    writer = csv.writer(target, lineterminator="\n")
    for cells in (columns, *([row.get(name) for name in columns] for row in rows)):
        writer.writerow(map(safe_cell, cells) if safe else cells)
    return target.getvalue()


def safe_cell(value: Value) -> Value:
    """Return a cell that no spreadsheet runs: text that begins like a formula gets an apostrophe.

    >>> [safe_cell(value) for value in ("=1+1", "-0.5", -0.5, "a=b")]
    ["'=1+1", '-0.5', -0.5, 'a=b']
    """
    if not isinstance(value, str):
        return value
    text = printable_line(value)
    try:
        float(text)
    except ValueError:
        return f"'{text}" if text.startswith(FORMULA) else text
    return text


def _fields(head: str, cell: Cell) -> dict[str, Value]:
    if not isinstance(cell, Estimate):
        return {head: cell}
    bounds = {f"{head} low": cell.low, f"{head} high": cell.high, f"{head} n": cell.count}
    return {head: cell.mean, **bounds}
