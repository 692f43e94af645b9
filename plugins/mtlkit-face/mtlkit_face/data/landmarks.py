"""Read tables of facial landmarks."""

from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path, PurePosixPath

import attrs
import numpy as np

from mtlkit.data import read_table
from mtlkit.plugins import DataError
from mtlkit_face.data.alignment import Points, five_points
from mtlkit_face.data.input_files import read_lines

COUNTS = (5, 68)


class ExtraColumn(Enum):
    """Position of an ignored label or score in a line of text, before or after the points."""

    NOTHING = "nothing"
    FIRST = "first"
    LAST = "last"


class SeveralFaces(Enum):
    """Policy for a file with the points of several faces: raise an error, or use the largest."""

    REFUSE = "refuse"
    LARGEST = "largest"


@attrs.frozen(eq=False)
class Landmarks:
    """Five points (5, 2) of each file, and for files `without` points the reason."""

    points: Mapping[str, Points]
    without: Mapping[str, str]


def read_landmarks(
    path: Path,
    extra: ExtraColumn = ExtraColumn.NOTHING,
    several: SeveralFaces = SeveralFaces.REFUSE,
) -> Landmarks:
    """Read the landmarks of a table, by file name.

    A CSV or Parquet table has a column `file` and the columns ``x1 y1 x2 y2 ...`` of 5 or 68
    points; a face with empty cells has no points. In any other format, a line is a name and 10 or
    136 numbers, separated by spaces or tabs; `extra` is the position of one more value.

    Raises `DataError` with the line number for what cannot be read.
    """
    if path.suffix.lower() in (".csv", ".parquet"):
        rows = _of_table(path)
    else:
        rows = _of_lines(path, extra)
    return _one_face_each(rows, several)


@attrs.frozen(eq=False)
class _Row:
    file: str
    location: str
    points: Points | None


def _of_table(path: Path) -> list[_Row]:
    rows = read_table(path)
    if not rows:
        raise DataError(f"{path}: contains no rows")
    labels = rows[0].labels
    count = next((n for n in reversed(COUNTS) if f"x{n}" in labels), COUNTS[0])
    names = [f"{axis}{number}" for number in range(1, count + 1) for axis in "xy"]
    missing = [name for name in names if name not in labels]
    if missing:
        raise DataError(
            f"{path}: got no column {missing[0]!r}, expected file, x1, y1, ... of 5 or 68 points"
        )
    return [_row(row.file, row.place, [row.labels[name] for name in names]) for row in rows]


def _of_lines(path: Path, extra: ExtraColumn) -> list[_Row]:
    rows = []
    for number, line in enumerate(read_lines(path, "landmarks"), start=1):
        if not line.strip():
            continue
        name, *cells = line.split("\t") if "\t" in line.strip() else line.split()
        cells = [part for cell in cells for part in cell.split()]
        if extra is ExtraColumn.FIRST:
            cells = cells[1:]
        elif extra is ExtraColumn.LAST:
            cells = cells[:-1]
        location = f"{path.name}:{number}"
        if len(cells) not in [2 * count for count in COUNTS]:
            hint = ""
            if len(cells) - 1 in [2 * count for count in COUNTS]:
                hint = "; skip a label or a score with --extra first or --extra last"
            raise DataError(
                f"{location}: got a name and {len(cells)} numbers, expected 10 or 136{hint}"
            )
        rows.append(_row(name.strip(), location, cells))
    if not rows:
        raise DataError(f"{path}: contains no lines")
    return rows


def _row(file: str, location: str, cells: Sequence[str | None]) -> _Row:
    name = PurePosixPath(file)
    if name.is_absolute() or ".." in name.parts:
        raise DataError(f"{location}: the path {file!r} is outside of the folder of images")
    if all(cell is None for cell in cells):
        return _Row(name.as_posix(), location, None)
    try:
        numbers = [float(cell or "nan") for cell in cells]
    except ValueError as cause:
        raise DataError(f"{location}: expected pixel coordinates: {cause}") from cause
    return _Row(name.as_posix(), location, five_points(np.array(numbers).reshape(-1, 2)))


def _one_face_each(rows: Sequence[_Row], several: SeveralFaces) -> Landmarks:
    faces: dict[str, list[_Row]] = {}
    without: dict[str, str] = {}
    for row in rows:
        if row.points is None:
            without[row.file] = f"has no points ({row.location})"
        else:
            faces.setdefault(row.file, []).append(row)
    for file, same in faces.items():
        if len(same) > 1 and several is SeveralFaces.REFUSE:
            raise DataError(
                f"{same[1].location}: {file!r} already has points at {same[0].location}; keep one "
                f"face, or use the largest with --several largest"
            )
    points = {
        file: largest
        for file, same in faces.items()
        if (largest := max(same, key=_extent).points) is not None
    }
    return Landmarks(points, {file: why for file, why in without.items() if file not in points})


def _extent(row: _Row) -> float:
    """Return the sum of squared distances of a face's points from their mean."""
    if row.points is None or not np.isfinite(row.points).all():
        return 0.0
    return float(np.square(row.points - row.points.mean(0)).sum())
