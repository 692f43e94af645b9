"""Side labels of faces in the wild, read from a table, also for mirrored images."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
import numpy as np
import numpy.typing as npt
import torch

from mtlkit.data import Categorical, Numeric, read_table
from mtlkit.plugins import DataError

UNKNOWN = "-1"
"""Class of a missing label, as in the paper's pose labels."""

SPLIT = "split"
"""The column that names the split of a face: train, validation or test."""

Positions = npt.NDArray[np.integer]
Mirrored = npt.NDArray[np.bool_]


@attrs.frozen(eq=False)
class SideLabels:
    """Labels of N faces by name: classes (None if missing) and numbers (NaN if missing).

    `splits` (N,) names the split of each face, None if the table has no column `split`.
    """

    classes: Mapping[str, Sequence[str | None]]
    numeric: Mapping[str, npt.NDArray[np.float32]]
    splits: Sequence[str] | None = None

    def columns(
        self,
        positions: Positions,
        mirrored: Mirrored,
        swap: Mapping[str, tuple[str, str]],
        negate: Sequence[str],
    ) -> dict[str, Categorical | Numeric]:
        """Return the columns of the faces at `positions`, some of them `mirrored`.

        Mirroring exchanges the two classes of each label in `swap`, and changes the sign of the
        numbers in `negate`.
        """
        columns: dict[str, Categorical | Numeric] = {}
        for name, values in self.classes.items():
            names = Categorical.of(values).names
            swapped = _swapped(name, names, swap.get(name))
            chosen = [
                swapped.get(value, value) if flip and value is not None else value
                for value, flip in zip((values[i] for i in positions), mirrored, strict=True)
            ]
            columns[name] = Categorical.of(chosen, names)
        for name, numbers in self.numeric.items():
            sign = np.where(mirrored & (name in negate), -1, 1)
            signed = (numbers[positions] * sign).astype(np.float32)
            columns[name] = Numeric(torch.from_numpy(signed))
        return columns


def _swapped(label: str, names: Sequence[str], pair: tuple[str, str] | None) -> dict[str, str]:
    if pair is None:
        return {}
    for name in pair:
        if name not in names:
            raise DataError(
                f"data.swap: the label {label!r} has no class {name!r}; it has: {', '.join(names)}"
            )
    one, other = pair
    return {one: other, other: one}


def read_side_labels(
    table: Path, ids: Sequence[str], classes: Sequence[str], numeric: Sequence[str]
) -> SideLabels:
    """Read the columns `classes` and `numeric` of `table` as labels of the faces `ids` (N,).

    Raises `DataError` for a missing column, a cell that is not a number, and a file of the table
    that is not a face of the source.
    """
    rows = read_table(table)
    index = {name: position for position, name in enumerate(ids)}
    for name in (*classes, *numeric):
        if rows and name not in rows[0].labels:
            raise DataError(f"{table}: has no column {name!r}; it has: {', '.join(rows[0].labels)}")
    unknown = [row.file for row in rows if row.file not in index]
    if unknown:
        raise DataError(
            f"{table}: {len(unknown)} of {len(rows)} files are unknown faces, such as "
            f"{unknown[0]!r}; use the table of these faces"
        )
    by_class: dict[str, list[str | None]] = {name: [None] * len(ids) for name in classes}
    by_number = {name: np.full(len(ids), math.nan, np.float32) for name in numeric}
    splits = ["train"] * len(ids) if rows and SPLIT in rows[0].labels else None
    location_of: dict[str, str] = {}
    for row in rows:
        if row.file in location_of:
            raise DataError(
                f"{row.place}: {row.file!r} is already listed at {location_of[row.file]}"
            )
        location_of[row.file] = row.place
        if splits is not None:
            splits[index[row.file]] = row.labels[SPLIT] or "train"
        for name, values in by_class.items():
            cell = row.labels[name]
            values[index[row.file]] = None if cell == UNKNOWN else cell
        for name, numbers in by_number.items():
            numbers[index[row.file]] = _number(row.labels[name], f"{row.place}: {name}")
    for name, values in by_class.items():
        if all(value is None for value in values):
            raise DataError(f"{table}: no face has a {name!r}")
    return SideLabels(by_class, by_number, splits)


def _number(cell: str | None, location: str) -> float:
    if cell is None:
        return math.nan
    try:
        return float(cell)
    except ValueError as cause:
        raise DataError(f"{location}: got {cell!r}, expected a number") from cause
