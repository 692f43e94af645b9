"""The records of a study as rows of a flat table, for CSV and Parquet."""

from collections.abc import Sequence

import attrs
import pyarrow as pa
import pyarrow.parquet as pq

from mtlkit.comparison.results.record import Record
from mtlkit.report.csv_file import Value

NESTED = ("settings", "validation", "test")


def flat_rows(records: Sequence[Record]) -> list[dict[str, Value]]:
    """Return a row for each record; nested values become columns such as ``test/pose/accuracy``."""
    rows = []
    for record in records:
        row: dict[str, Value] = {}
        for field in attrs.fields(Record):
            value = getattr(record, field.name)
            if field.name in NESTED:
                row |= {f"{field.name}/{name}": item for name, item in value.items()}
            else:
                row[field.name] = value.value if field.name in ("stage", "budget") else value
        rows.append(row)
    columns = dict.fromkeys(name for row in rows for name in row)
    return [{name: row.get(name) for name in columns} for row in rows]


def rows_as_parquet(rows: Sequence[dict[str, Value]]) -> bytes:
    """Return the rows as Parquet; a column of mixed types, such as a setting, becomes text."""
    columns = {}
    for name in rows[0] if rows else ():
        values = [row[name] for row in rows]
        kinds = {type(value) for value in values if value is not None}
        if kinds == {int, float}:
            values = [None if value is None else float(value) for value in values]
        elif len(kinds) > 1:
            values = [None if value is None else str(value) for value in values]
        columns[name] = pa.array(values)
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return bytes(sink.getvalue())
