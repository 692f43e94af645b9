"""Tables of boxes and landmarks, which give each image its region."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import final

import attrs
import numpy as np

from mtlkit.component import at_least_number
from mtlkit.data.frame import AlignedRegion, BoxRegion, Frame, Region
from mtlkit.data.listing.image_listing import Row
from mtlkit.data.listing.table_files import read_table
from mtlkit.data.similarity_transform import Points, similarity
from mtlkit.errors import DataError

_SIDE = 112
FACE: Mapping[str, tuple[float, float]] = {
    name: ((x + 0.5) / _SIDE, (y + 0.5) / _SIDE)
    for name, x, y in (
        ("left_eye", 38.2946, 51.6963),
        ("right_eye", 73.5318, 51.5014),
        ("nose", 56.0252, 71.7366),
        ("mouth_left", 41.5493, 92.3655),
        ("mouth_right", 70.7299, 92.2041),
    )
}
"""Five points of a face as parts of width and height, as seen in the image: insightface's."""

_PARTS_OF_68 = {
    "left_eye": range(37, 43),
    "right_eye": range(43, 49),
    "nose": range(31, 32),
    "mouth_left": range(49, 50),
    "mouth_right": range(55, 56),
}
"""Numbers, from 1, of the 68 points of iBUG 300-W whose mean is each of the five points."""


@attrs.frozen(kw_only=True)
class RegionTable:
    """Base of the options that give images their regions from a table, CSV or Parquet.

    The column `file` names images as the data source does. `table` is relative to the folder of
    the images, otherwise to the recipe.
    """

    table: Path

    def regions(
        self, path: Path, files: Sequence[str], frame: Frame
    ) -> tuple[list[Region | None], dict[int, str]]:
        """Return the regions of `files`, and the reasons of those without one, by position.

        `path` is that of the table. Raises `DataError` if it cannot be used.
        """
        rows: dict[str, Row] = {}
        for row in read_table(path):
            if not rows:
                self.check(row)
            if row.file in rows:
                raise DataError(
                    f"{row.place}: {row.file!r} is already listed at {rows[row.file].place}; keep "
                    f"one row for each image"
                )
            rows[row.file] = row
        selected: list[Region | None] = []
        faults: dict[int, str] = {}
        for position, file in enumerate(files):
            try:
                if file not in rows:
                    raise DataError(f"has no row in {path.name}")
                selected.append(self.region(rows[file], frame))
            except DataError as cause:
                selected.append(None)
                faults[position] = str(cause)
        return selected, faults

    @abstractmethod
    def check(self, row: Row) -> None:
        """Raise `DataError` if the columns of the table, those of a `row`, cannot be used."""

    @abstractmethod
    def region(self, row: Row, frame: Frame) -> Region:
        """Return the region of a row; `DataError` with the reason if the row has none."""


_BOX = ("left", "top", "width", "height")


@final
@attrs.frozen(kw_only=True)
class Boxes(RegionTable):
    """Boxes of objects, which are cut out: the columns `left`, `top`, `width`, `height` in pixels.

    A box is enlarged by `margin` of its longer side on each side, and to the aspect ratio of
    `size`; parts outside of the image are black.

    >>> Boxes(table=Path("boxes.csv"), margin=0.2).margin
    0.2
    """

    margin: float = attrs.field(default=0.0, validator=at_least_number(0))

    def check(self, row: Row) -> None:
        missing = [name for name in _BOX if name not in row.labels]
        if missing:
            raise DataError(
                f"{row.place}: got no column {missing[0]!r}, expected file, {', '.join(_BOX)}"
            )

    def region(self, row: Row, frame: Frame) -> Region:
        left, top, width, height = (_number(row, name) for name in _BOX)
        if np.isnan([left, top, width, height]).any():
            raise DataError(f"has no box ({row.place})")
        if not (width > 0 and height > 0):
            raise DataError(f"has a box of {width:g} x {height:g} pixels ({row.place})")
        return BoxRegion(left, top, width, height, self.margin)


def _template(_: object, __: object, value: Mapping[str, tuple[float, float]]) -> None:
    if len(value) < 2:
        raise ValueError(f"template: expected two points or more, got {len(value)}")


@final
@attrs.frozen(kw_only=True)
class Landmarks(RegionTable):
    """Landmarks, by which images are rotated, scaled and moved to the points of a template.

    The table names points: ``left_eye_x``, ``left_eye_y``, ... Or it numbers those of a face,
    ``x1``, ``y1``, ...: five (left eye, right eye, nose, left and right corner of the mouth, as
    seen in the image) or the 68 of iBUG 300-W. An empty cell is a missing point, as in profiles;
    two points are needed. `template` gives the position of each point in the result, as parts of
    its width and height.

    >>> sorted(Landmarks(table=Path("points.csv")).template)
    ['left_eye', 'mouth_left', 'mouth_right', 'nose', 'right_eye']
    """

    template: Mapping[str, tuple[float, float]] = attrs.field(
        factory=lambda: dict(FACE), validator=_template
    )

    def check(self, row: Row) -> None:
        landmark_columns(row, tuple(self.template))

    def region(self, row: Row, frame: Frame) -> Region:
        points = landmark_points(row, tuple(self.template))
        if np.isnan(points).all():
            raise DataError(f"has no points ({row.place})")
        # the center of the first pixel is (0, 0)
        target = np.array([*self.template.values()]) * frame.size - 0.5
        return AlignedRegion(similarity(points, target))


def landmark_columns(row: Row, names: Sequence[str] = tuple(FACE)) -> Sequence[str]:
    """Return the columns of x, without their axis, of the points called `names`.

    They are the names themselves, those of them that the table has, or the numbers of 5 or 68
    points. Raises `DataError` if the table has neither.
    """
    columns = row.labels
    named = [name for name in names if f"{name}_x" in columns and f"{name}_y" in columns]
    if named:
        return named
    for count in (68, 5):
        numbers = [str(number) for number in range(1, count + 1)]
        if tuple(names) == tuple(FACE) and all(f"{a}{n}" in columns for n in numbers for a in "xy"):
            return numbers
    raise DataError(
        f"{row.place}: got the columns {', '.join(columns) or '(none)'}, expected {names[0]}_x, "
        f"{names[0]}_y, ..., or x1, y1, ... of the 5 or 68 points of a face"
    )


def landmark_points(row: Row, names: Sequence[str] = tuple(FACE)) -> Points:
    """Return the points (N, 2) called `names` of a row, with NaN for missing ones.

    Raises `DataError` if the table has no such columns, or a cell is not a number.
    """
    columns = landmark_columns(row, names)
    if columns[0] in names:
        points = {n: (_number(row, f"{n}_x"), _number(row, f"{n}_y")) for n in columns}
        return np.array([points.get(name, (np.nan, np.nan)) for name in names])
    return five_points(np.array([(_number(row, f"x{n}"), _number(row, f"y{n}")) for n in columns]))


def five_points(points: Points) -> Points:
    """Return the five points (5, 2) of 5 points, or of 68 in the order of iBUG 300-W.

    Of 68 points, an eye is the mean of its six points. Raises `DataError` for another number.
    """
    if len(points) == len(FACE):
        return points
    if len(points) != 68:
        raise DataError(f"got {len(points)} points, expected 5 or 68")
    return np.stack([_mean(points[[n - 1 for n in part]]) for part in _PARTS_OF_68.values()])


def _mean(points: Points) -> Points:
    """Return the mean of the points that are not missing."""
    known = ~np.isnan(points).any(axis=1)
    return np.asarray(points[known].mean(axis=0) if known.any() else points[0] * np.nan)


def _number(row: Row, column: str) -> float:
    """Return the number in a cell, NaN if it is empty."""
    cell = row.labels[column]
    try:
        return np.nan if cell is None else float(cell)
    except ValueError as cause:
        raise DataError(f"{row.place}: {column}: got {cell!r}, expected a number") from cause
