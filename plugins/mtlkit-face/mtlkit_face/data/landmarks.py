"""Tables of landmarks: which points a face in a file has."""

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


class Extra(Enum):
    """What stands beside the points in a line of text, and is not looked at."""

    NOTHING = "nothing"
    FIRST = "first"
    LAST = "last"


class Several(Enum):
    """What is done with a file that has the points of several faces."""

    REFUSE = "refuse"
    LARGEST = "largest"


@attrs.frozen(eq=False)
class Landmarks:
    """The five points (5, 2) of each file, or why it has none."""

    points: Mapping[str, Points]
    without: Mapping[str, str]


def read_landmarks(
    path: Path, extra: Extra = Extra.NOTHING, several: Several = Several.REFUSE
) -> Landmarks:
    """The landmarks of a table, by the names of files.

    A table in CSV or Parquet has a column `file` and the columns ``x1 y1 x2 y2 ...`` of 5 or 68
    points; empty cells are a face without points. In any other file a line is a name and the 10 or
    136 numbers, apart by blanks or tabs, with `extra` a label before or a score behind them.

    Of several faces in one file, the largest is taken if `several` says so. Raises `DataError` with
    the line for what cannot be read.
    """
    if path.suffix.lower() in (".csv", ".parquet"):
        rows = _of_table(path)
    else:
        rows = _of_lines(path, extra)
    return _one_face_each(rows, several)


@attrs.frozen(eq=False)
class _Row:
    file: str
    place: str
    points: Points | None


def _of_table(path: Path) -> list[_Row]:
    rows = read_table(path)
    if not rows:
        raise DataError(f"{path}: holds no row")
    labels = rows[0].labels
    count = next((n for n in reversed(COUNTS) if f"x{n}" in labels), COUNTS[0])
    names = [f"{axis}{number}" for number in range(1, count + 1) for axis in "xy"]
    missing = [name for name in names if name not in labels]
    if missing:
        raise DataError(
            f"{path}: expected the columns file, x1, y1, ... of 5 or 68 points; there is no "
            f"{missing[0]!r}"
        )
    return [_row(row.file, row.place, [row.labels[name] for name in names]) for row in rows]


def _of_lines(path: Path, extra: Extra) -> list[_Row]:
    rows = []
    for number, line in enumerate(read_lines(path, "landmarks"), start=1):
        if not line.strip():
            continue
        name, *cells = line.split("\t") if "\t" in line.strip() else line.split()
        cells = [part for cell in cells for part in cell.split()]
        if extra is Extra.FIRST:
            cells = cells[1:]
        elif extra is Extra.LAST:
            cells = cells[:-1]
        place = f"{path.name}:{number}"
        if len(cells) not in [2 * count for count in COUNTS]:
            hint = ""
            if len(cells) - 1 in [2 * count for count in COUNTS]:
                hint = "; if one is a label or a score, say so with --extra first or --extra last"
            raise DataError(
                f"{place}: expected a name and 10 or 136 numbers, found {len(cells)} numbers{hint}"
            )
        rows.append(_row(name.strip(), place, cells))
    if not rows:
        raise DataError(f"{path}: holds no line")
    return rows


def _row(file: str, place: str, cells: Sequence[str | None]) -> _Row:
    name = PurePosixPath(file)
    if name.is_absolute() or ".." in name.parts:
        raise DataError(f"{place}: the path {file!r} leads out of the folder of images")
    if all(cell is None for cell in cells):
        return _Row(name.as_posix(), place, None)
    try:
        numbers = [float(cell or "nan") for cell in cells]
    except ValueError as cause:
        raise DataError(f"{place}: expected numbers of pixels: {cause}") from cause
    return _Row(name.as_posix(), place, five_points(np.array(numbers).reshape(-1, 2)))


def _one_face_each(rows: Sequence[_Row], several: Several) -> Landmarks:
    faces: dict[str, list[_Row]] = {}
    without: dict[str, str] = {}
    for row in rows:
        if row.points is None:
            without[row.file] = f"has no points ({row.place})"
        else:
            faces.setdefault(row.file, []).append(row)
    for file, own in faces.items():
        if len(own) > 1 and several is Several.REFUSE:
            raise DataError(
                f"{own[1].place}: {file!r} has points at {own[0].place} already; keep one face, or "
                f"take the largest with --several largest"
            )
    points = {
        file: found
        for file, own in faces.items()
        if (found := max(own, key=_extent).points) is not None
    }
    return Landmarks(points, {file: why for file, why in without.items() if file not in points})


def _extent(row: _Row) -> float:
    """The size of a face: how far its points are from their middle."""
    if row.points is None or not np.isfinite(row.points).all():
        return 0.0
    return float(np.square(row.points - row.points.mean(0)).sum())
