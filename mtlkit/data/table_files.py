"""Tables in CSV or Parquet: one row for each sample, such as a file with its labels."""

import csv
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from mtlkit.data.image_listing import Row
from mtlkit.errors import DataError

FILE = "file"
"""The column that names the file, relative to the folder of the images."""


def read_table(path: Path, key: str | None = FILE) -> list[Row]:
    """Return the rows of a ``.csv`` or ``.parquet`` table; an empty cell is a missing label.

    The column `key` names the samples; None numbers them. Raises `DataError` if the table cannot be
    read or lacks the column.
    """
    readers = {".csv": _csv_rows, ".parquet": _parquet_rows}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path}: expected a table that ends in .csv or .parquet")
    names, cells = reader(path)
    repeated = sorted(name for name, count in Counter(names).items() if count > 1)
    if repeated:
        raise DataError(f"{path}: two columns are named {repeated[0]!r}; rename one")
    if key is not None and key not in names:
        what = "images" if key == FILE else "samples"
        raise DataError(
            f"{path}: expected a column {key!r} with the names of the {what}, found the columns: "
            f"{', '.join(names)}"
        )
    return [_row(names, values, place, key) for place, values in cells]


def _row(names: Sequence[str], values: Sequence[str | None], place: str, key: str | None) -> Row:
    if len(values) != len(names):
        raise DataError(f"{place}: expected {len(names)} cells, found {len(values)}")
    labels = dict(zip(names, values, strict=True))
    for name, value in labels.items():
        if value is not None and "\0" in value:
            raise DataError(f"{place}: the column {name!r} has a NUL character; remove it")
    if key is None:
        return Row(place, labels, place)
    file = labels.pop(key)
    if file is None:
        raise DataError(f"{place}: the column {key!r} is empty")
    if key != FILE:
        return Row(file, labels, place)
    return Row(PurePosixPath(file).as_posix(), labels, place)  # ./a.png and a.png are one file


Cells = Iterable[tuple[str, Sequence[str | None]]]


def _csv_rows(path: Path) -> tuple[list[str], Cells]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            lines, first = [], 1
            for cells in reader:
                if cells:
                    lines.append((first, cells))
                first = reader.line_num + 1
    except (csv.Error, UnicodeDecodeError) as cause:
        raise DataError(f"{path}: is not CSV in UTF-8: {cause}") from cause
    if not lines:
        raise DataError(f"{path}: the table is empty")
    names = [cell.strip() for cell in lines[0][1]]
    return names, [
        (f"{path.name}:{line}", [cell.strip() or None for cell in cells])
        for line, cells in lines[1:]
    ]


def _parquet_rows(path: Path) -> tuple[list[str], Cells]:
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.read_table(path)
    except pyarrow.ArrowException as cause:
        raise DataError(f"{path}: is not a Parquet table: {cause}") from cause
    for name, kind in zip(table.column_names, table.schema.types, strict=True):
        if pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind):
            raise DataError(f"{path}: the column {name!r} holds bytes; expected text or numbers")
    columns = [[_text(value) for value in column.to_pylist()] for column in table.columns]
    return list(table.column_names), [
        (f"{path.name}, row {row}", cells)
        for row, cells in enumerate(zip(*columns, strict=True), start=1)
    ]


def _text(value: object) -> str | None:
    """Return the text of a cell as in CSV."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # pandas stores integers with gaps as floats
    return str(value).strip() or None
