"""Pairs of images with their people, from a table of pairs or a folder for each person."""

import os
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import attrs
import numpy as np
import numpy.typing as npt

from mtlkit.data import Row, read_table
from mtlkit.plugins import DataError
from mtlkit_face.data.folder import list_folder

MOST_IMPOSTORS = 500_000
"""Maximum number of impostor pairs of a folder; of more, as many are drawn at random."""

Indices = npt.NDArray[np.int64]
_COLUMNS = "file_a, file_b, and either person_a and person_b or same"
_SAME: Mapping[str, bool] = {"1": True, "true": True, "yes": True, "0": False, "false": False,
                             "no": False}  # fmt: skip


@attrs.frozen(eq=False, kw_only=True)
class LabeledPairs:
    """P pairs of N `files` with their `person` (N,); `folder` contains all files.

    `first` and `second` (P,) are indices into `files`.
    """

    files: tuple[Path, ...]
    first: Indices
    second: Indices
    person: Indices
    folder: Path

    def __len__(self) -> int:
        return len(self.first)

    def among(self, kept: Sequence[Path]) -> "LabeledPairs":
        """Return the pairs whose two files are in `kept`, in its order."""
        index = {path: number for number, path in enumerate(kept)}
        new = np.array([index.get(path, -1) for path in self.files], np.int64)
        first, second = new[self.first], new[self.second]
        used = (first >= 0) & (second >= 0)
        return attrs.evolve(
            self,
            files=tuple(kept),
            first=first[used],
            second=second[used],
            person=self.person[new >= 0][np.argsort(new[new >= 0])],
        )


def read_pairs(path: Path) -> LabeledPairs:
    """Read pairs from a table, or form all pairs of a folder that has a folder for each person.

    A table, CSV or Parquet, has the columns `file_a` and `file_b`, relative to the table's folder,
    and either `person_a` and `person_b`, or `same` (1 or 0). With `same`, people are the sets of
    images that its genuine pairs connect. Raises `DataError` for other tables.
    """
    if path.is_dir():
        return _all_pairs(path)
    rows = read_table(path, key=None)
    columns = set(rows[0].labels) if rows else set()
    named = {"person_a", "person_b"} <= columns
    if not {"file_a", "file_b"} <= columns or not (named or "same" in columns):
        got = ", ".join(sorted(columns)) or "none"
        raise DataError(f"{path}: got the columns {got}, expected {_COLUMNS}")
    files: dict[Path, int] = {}
    sides = [
        np.array([_file(row, side, path.parent, files) for row in rows], np.int64)
        for side in ("file_a", "file_b")
    ]
    person = _named(rows, sides, len(files)) if named else _connected(rows, sides, len(files))
    folder = os.path.commonpath([os.path.realpath(file.parent) for file in files])
    return LabeledPairs(
        files=tuple(files), first=sides[0], second=sides[1], person=person, folder=Path(folder)
    )


def _all_pairs(folder: Path) -> LabeledPairs:
    listing = list_folder(folder)
    codes: dict[str, int] = {}
    person = np.array([codes.setdefault(name, len(codes)) for name in listing.subjects], np.int64)
    members = [np.flatnonzero(person == code).tolist() for code in range(len(codes))]
    genuine = [pair for images in members for pair in combinations(images, 2)]
    first, second = np.triu_indices(len(person), 1)
    different = np.flatnonzero(person[first] != person[second])
    if len(different) > MOST_IMPOSTORS:
        different = np.random.default_rng(0).choice(different, MOST_IMPOSTORS, replace=False)
    same = np.array(genuine, np.int64).reshape(-1, 2)
    return LabeledPairs(
        files=tuple(folder / name for name in listing.ids),
        first=np.concatenate([same[:, 0], first[different]]),
        second=np.concatenate([same[:, 1], second[different]]),
        person=person,
        folder=folder.resolve(),
    )


def _file(row: Row, column: str, folder: Path, files: dict[Path, int]) -> int:
    name = row.labels[column]
    if name is None:
        raise DataError(f"{row.place}: the column {column!r} is empty, expected an image")
    return files.setdefault(Path(os.path.normpath(folder / name)), len(files))


def _named(rows: Sequence[Row], sides: Sequence[Indices], count: int) -> Indices:
    codes: dict[str, int] = {}
    person = np.full(count, -1, np.int64)
    for column, files in zip(("person_a", "person_b"), sides, strict=True):
        for row, file in zip(rows, files.tolist(), strict=True):
            name = row.labels[column]
            if name is None:
                raise DataError(f"{row.place}: the column {column!r} is empty, expected a person")
            code = codes.setdefault(name, len(codes))
            if person[file] not in (-1, code):
                raise DataError(f"{row.place}: {column}: got {name!r}, but an earlier row names "
                                f"another person in this image; correct one of them")  # fmt: skip
            person[file] = code
    return person


def _connected(rows: Sequence[Row], sides: Sequence[Indices], count: int) -> Indices:
    """Return the connected components of the genuine pairs."""
    person = np.arange(count)

    def root(file: int) -> int:
        while person[file] != file:
            person[file] = person[person[file]]
            file = int(person[file])
        return file

    same = [_is_same(row) for row in rows]
    pairs = list(zip(sides[0].tolist(), sides[1].tolist(), strict=True))
    for pair, genuine in zip(pairs, same, strict=True):
        if genuine:
            person[root(pair[0])] = root(pair[1])
    people = np.array([root(file) for file in range(count)], np.int64)
    for row, (one, other), genuine in zip(rows, pairs, same, strict=True):
        if not genuine and people[one] == people[other]:
            raise DataError(
                f"{row.place}: same: got 0, but genuine pairs of the table connect the two images; "
                f"correct one of the rows"
            )
    return people


def _is_same(row: Row) -> bool:
    value = (row.labels["same"] or "").lower()
    if value not in _SAME:
        raise DataError(f"{row.place}: same: got {value!r}, expected 1 or 0")
    return _SAME[value]
