"""Side labels of faces in the wild, from a table, and what a mirror makes of them."""

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
"""A class that says that the class is not known, as the paper's pose labels have it."""

Positions = npt.NDArray[np.intp]
Mirrored = npt.NDArray[np.bool_]


@attrs.frozen(eq=False)
class SideLabels:
    """Labels of N faces by name: classes (None: not known) and numbers (NaN: not known)."""

    classes: Mapping[str, Sequence[str | None]]
    numeric: Mapping[str, npt.NDArray[np.float32]]

    def columns(
        self,
        positions: Positions,
        mirrored: Mirrored,
        swap: Mapping[str, tuple[str, str]],
        negate: Sequence[str],
    ) -> dict[str, Categorical | Numeric]:
        """The columns for the faces at `positions`, as a mirror shows them where `mirrored`.

        A mirror exchanges the two classes that `swap` has for a label, and the sign of a number
        that `negate` names.
        """
        found: dict[str, Categorical | Numeric] = {}
        for name, values in self.classes.items():
            names = Categorical.of(values).names
            other = _exchanged(name, names, swap.get(name))
            chosen = [
                other.get(value, value) if flip and value is not None else value
                for value, flip in zip((values[i] for i in positions), mirrored, strict=True)
            ]
            found[name] = Categorical.of(chosen, names)
        for name, numbers in self.numeric.items():
            sign = np.where(mirrored & (name in negate), -1, 1)
            found[name] = Numeric(torch.from_numpy((numbers[positions] * sign).astype(np.float32)))
        return found


def _exchanged(label: str, names: Sequence[str], pair: tuple[str, str] | None) -> dict[str, str]:
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
    """The columns `classes` and `numeric` of `table` as labels of the faces `ids` (N,).

    Raises `DataError` for a column that is not there, a cell that is no number, and a file of the
    table that is no face of the source: it would be the table of other faces.
    """
    rows = read_table(table)
    place = {name: position for position, name in enumerate(ids)}
    for name in (*classes, *numeric):
        if rows and name not in rows[0].labels:
            raise DataError(f"{table}: has no column {name!r}; it has: {', '.join(rows[0].labels)}")
    strangers = [row.file for row in rows if row.file not in place]
    if strangers:
        raise DataError(
            f"{table}: {len(strangers)} of {len(rows)} files are no faces here, {strangers[0]!r} "
            f"for one; is it the table of other faces?"
        )
    by_class: dict[str, list[str | None]] = {name: [None] * len(ids) for name in classes}
    by_number = {name: np.full(len(ids), math.nan, np.float32) for name in numeric}
    seen: dict[str, str] = {}
    for row in rows:
        if row.file in seen:
            raise DataError(f"{row.place}: {row.file!r} was already listed at {seen[row.file]}")
        seen[row.file] = row.place
        for name, values in by_class.items():
            cell = row.labels[name]
            values[place[row.file]] = None if cell == UNKNOWN else cell
        for name, numbers in by_number.items():
            numbers[place[row.file]] = _number(row.labels[name], f"{row.place}: {name}")
    for name, values in by_class.items():
        if all(value is None for value in values):
            raise DataError(f"{table}: no face has a {name!r}")
    return SideLabels(by_class, by_number)


def _number(cell: str | None, where: str) -> float:
    if cell is None:
        return math.nan
    try:
        return float(cell)
    except ValueError as cause:
        raise DataError(f"{where}: expected a number, found {cell!r}") from cause
