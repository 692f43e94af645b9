"""Read tables of facial landmarks."""

from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path, PurePosixPath

import attrs
import numpy as np

from mtlkit.data import five_points, landmark_points, read_table
from mtlkit.plugins import DataError
from mtlkit_face.data.alignment import Points
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
    points, or those of named ones: ``left_eye_x left_eye_y``, and so on of right_eye, nose,
    mouth_left and mouth_right. An empty cell is a missing point; a face without any has no points.
    In any other format, a line is a name and 10 or 136 numbers, separated by spaces or tabs;
    `extra` is the position of one more value.

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
    return [_row(row.file, row.place, landmark_points(row)) for row in rows]


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
        rows.append(_row(name.strip(), location, _points(location, cells)))
    if not rows:
        raise DataError(f"{path}: contains no lines")
    return rows


def _row(file: str, location: str, points: Points) -> _Row:
    name = PurePosixPath(file)
    if name.is_absolute() or ".." in name.parts:
        raise DataError(f"{location}: the path {file!r} is outside of the folder of images")
    return _Row(name.as_posix(), location, None if np.isnan(points).all() else points)


def _points(location: str, cells: Sequence[str]) -> Points:
    try:
        numbers = [float(cell) for cell in cells]
    except ValueError as cause:
        raise DataError(f"{location}: expected pixel coordinates: {cause}") from cause
    return five_points(np.array(numbers).reshape(-1, 2))


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
    if row.points is None:
        return 0.0
    known = row.points[np.isfinite(row.points).all(axis=1)]
    return float(np.square(known - known.mean(0)).sum()) if len(known) else 0.0
