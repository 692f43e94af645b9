"""Tables in CSV or Parquet: one row for each sample, such as a file with its labels."""

import csv
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from mtlkit.atomic_files import reason_of
from mtlkit.data.listing.image_listing import Row, escaped
from mtlkit.errors import SHOWN, DataError, error_text
from mtlkit.regular_files import is_file, kind_of

FILE = "file"
"""The column that names the file, relative to the folder of the images."""

LONGEST = 300
"""Number of characters of a decoder's reasons that a message shows."""


def read_table(path: Path, key: str | None = FILE) -> list[Row]:
    """Return the rows of a ``.csv`` or ``.parquet`` table; an empty cell is a missing label.

    The column `key` names the samples; None numbers them. Raises `DataError` if the table cannot be
    read or lacks the column.
    """
    names, cells = _reader(path)(path)
    _refuse_repeated(str(path), names)
    if key is not None and key not in names:
        what = "images" if key == FILE else "samples"
        raise DataError(
            f"{path}: expected a column {key!r} with the names of the {what}, got the columns: "
            f"{', '.join(names[:SHOWN])}{', ...' if len(names) > SHOWN else ''}"
        )
    return [_row(names, values, place, key) for place, values in cells]


def _reader(path: Path) -> "Callable[[Path], tuple[list[str], Cells]]":
    reader = {".csv": _csv_rows, ".parquet": _parquet_rows}.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path}: expected a table that ends in .csv or .parquet")
    return reader


def _refuse_repeated(place: str, names: Sequence[str]) -> None:
    repeated = sorted(name for name, count in Counter(names).items() if count > 1)
    if repeated:
        raise DataError(f"{place}: two columns are named {repeated[0]!r}; rename one")


def _row(names: Sequence[str], values: Sequence[str | None], place: str, key: str | None) -> Row:
    if len(values) != len(names):
        raise DataError(f"{place}: expected {len(names)} cells, got {len(values)}")
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


def new_rows(rows: object, key: str | None) -> list[Row]:
    """Return rows to predict: of the file of a table, or of a table in memory.

    In memory, `rows` is a list of mappings, a mapping of columns, or a table that pyarrow converts,
    such as a data frame of pandas or polars. Without the column `key`, rows are named by number.

    >>> [(row.file, dict(row.labels)) for row in new_rows([{"x": 1.5}, {"x": None}], None)]
    [('row 1', {'x': '1.5'}), ('row 2', {'x': None})]
    """
    if isinstance(rows, str | Path):
        path = Path(rows)
        if not is_file(path):
            raise DataError(f"{path}: {missing_file(path)}; expected a table in CSV or Parquet")
        names, cells = _reader(path)(path)
        place = str(path)
    else:
        names, columns = _memory_columns(rows)
        values = zip(*columns, strict=True)
        cells = [(f"row {number}", row) for number, row in enumerate(values, start=1)]
        place = "rows"
    _refuse_repeated(place, names)
    read = [_row(names, values, place, key if key in names else None) for place, values in cells]
    if not read:
        raise DataError(f"{place}: got no rows, expected one or more")
    return read


def _memory_columns(rows: object) -> tuple[list[str], list[list[str | None]]]:
    import pyarrow

    try:
        if isinstance(rows, Sequence):
            names = list(dict.fromkeys(name for row in rows for name in row))
            for number, row in enumerate(rows, start=1):
                absent = [name for name in names if name not in row]
                if absent:
                    raise DataError(f"row {number}: no value of {absent[0]!r}; use None if empty")
            return names, [[cell_text(row[name]) for row in rows] for name in names]
        if isinstance(rows, Mapping):
            columns = [[cell_text(value) for value in column] for column in rows.values()]
            sizes = {name: len(column) for name, column in zip(rows, columns, strict=True)}
            if len(set(sizes.values())) > 1:
                raise DataError(f"rows: got columns of {sizes} rows, expected one number of rows")
            return list(rows), columns
        table = pyarrow.table(rows)
    except (
        TypeError,
        ValueError,
        ArithmeticError,
        AttributeError,
        pyarrow.ArrowException,
    ) as cause:
        raise DataError(
            f"rows: got {type(rows).__name__}, expected the path of a table, a list of mappings, a "
            f"mapping of columns, or a data frame"
        ) from cause
    # pyarrow adds the index of a data frame
    names = [name for name in table.column_names if not name.startswith("__index_level_")]
    return names, [[cell_text(value) for value in table[name].to_pylist()] for name in names]


def missing_file(path: Path) -> str:
    """Describe a path that is not a file."""
    try:
        return f"is {kind_of(path)}" if path.exists() else "no such file"
    except OSError as cause:  # such as a name that is too long
        return reason_of(cause)


Cells = Iterable[tuple[str, Sequence[str | None]]]


@contextmanager
def _decoding(path: Path, expected: str) -> Iterator[None]:
    """Raise everything that a decoder raises for the file at `path` as a `DataError`.

    A decoder may raise any type for damaged bytes, also a `BaseException` (a panic of Rust).
    """
    try:
        yield
    except (DataError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except OSError as cause:
        # pyarrow raises it without a number for damage
        reason = cause.strerror or error_text(cause, LONGEST)
        raise DataError(
            f"{path}: cannot be read: {reason}; expected {expected}, so repair the file or its "
            f"permissions"
        ) from cause
    except BaseException as cause:
        raise DataError(
            f"{path}: is not {expected}: {error_text(cause, LONGEST)}; write the file anew"
        ) from cause


def _csv_rows(path: Path) -> tuple[list[str], Cells]:
    name, names = escaped(path.name), list[str]()
    rows: list[tuple[str, Sequence[str | None]]] = []
    with _decoding(path, "CSV in UTF-8"), path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        first = 1
        for cells in reader:
            if cells and names:
                rows.append((f"{name}:{first}", [cell.strip() or None for cell in cells]))
            elif cells:
                names = [cell.strip() for cell in cells]
            first = reader.line_num + 1
    if not names:
        raise DataError(f"{path}: the table is empty")
    return names, rows


def _parquet_rows(path: Path) -> tuple[list[str], Cells]:
    import pyarrow
    from pyarrow import parquet

    # pyarrow opens no path that is not UTF-8
    with _decoding(path, "a Parquet table"), path.open("rb") as file:
        # a file that holds checksums of its pages is verified
        table = parquet.read_table(file, page_checksum_verification=True)
        names = list(table.column_names)  # decodes them
        for name, kind in zip(names, table.schema.types, strict=True):
            if pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind):
                raise DataError(
                    f"{path}: the column {name!r} holds bytes; expected text or numbers"
                )
        columns = [[cell_text(value) for value in column.to_pylist()] for column in table.columns]
    name = escaped(path.name)
    return names, [
        (f"{name}, row {row}", cells)
        for row, cells in enumerate(zip(*columns, strict=True), start=1)
    ]


def cell_text(value: object) -> str | None:
    """Return the text of a cell as in CSV."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # pandas stores integers with gaps as floats
    return str(value).strip() or None
