"""Tables as CSV files."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

from mtlkit.report.blocks import Cell, Estimate, TableBlock

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


def rows_csv(rows: Sequence[Mapping[str, Value]]) -> str:
    """Return the rows as CSV, with the columns of all of them."""
    target = io.StringIO()
    columns = dict.fromkeys(name for row in rows for name in row)
    writer = csv.DictWriter(target, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return target.getvalue()


def _fields(head: str, cell: Cell) -> dict[str, Value]:
    if not isinstance(cell, Estimate):
        return {head: cell}
    bounds = {f"{head} low": cell.low, f"{head} high": cell.high, f"{head} n": cell.count}
    return {head: cell.mean, **bounds}
