"""Which files there are and what their labels are, before any file is opened."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import attrs

from mtlkit.data.filename_pattern import compile_pattern
from mtlkit.errors import DataError

SUFFIXES = frozenset(
    {".bmp", ".gif", ".jp2", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif"}
    | {".tiff", ".webp"}
)
"""The endings by which a file that matches no pattern is still taken for an image."""


@attrs.frozen
class Row:
    """A labelled file: its name in the folder, its labels (None: missing), and where they stand."""

    file: str
    labels: Mapping[str, str | None]
    place: str


@attrs.frozen
class Fault:
    """A file that cannot be used, and why."""

    file: str
    reason: str


@attrs.frozen
class Listing:
    """The labelled files by name, those that cannot be used, and those that are no images."""

    rows: Sequence[Row]
    faults: Sequence[Fault] = ()
    other: Sequence[str] = ()


def list_by_pattern(folder: Path, pattern: str, ignore: Sequence[str]) -> Listing:
    """The files of `folder` with the labels in their names.

    A file that does not match is a fault if it ends like an image, and otherwise no image.
    """
    expression = compile_pattern(pattern)
    rows, faults, other = [], [], []
    for name in sorted(_names(folder)):
        if _ignored(name, ignore):
            continue
        match = expression.fullmatch(name)
        if match is not None:
            rows.append(Row(name, match.groupdict(), name))
        elif PurePosixPath(name).suffix.lower() in SUFFIXES:
            faults.append(Fault(name, f"does not match the pattern {pattern!r}"))
        else:
            other.append(name)
    return Listing(rows, faults, other)


def list_by_table(folder: Path, rows: Sequence[Row], ignore: Sequence[str]) -> Listing:
    """The files that `rows` of a table name; one that `folder` does not hold is a fault.

    Raises `DataError` where two rows name one file.
    """
    places: dict[str, str] = {}
    present, faults = [], []
    for row in sorted(rows, key=lambda row: row.file):
        if row.file in places:
            raise DataError(
                f"{row.place}: the file {row.file!r} was already listed at {places[row.file]}; "
                f"keep one of the two rows"
            )
        places[row.file] = row.place
        if _ignored(row.file, ignore):
            continue
        if (folder / row.file).is_file():
            present.append(row)
        else:
            faults.append(Fault(row.file, f"is missing (listed at {row.place})"))
    return Listing(present, faults)


def _ignored(name: str, globs: Sequence[str]) -> bool:
    return any(PurePosixPath(name).match(glob) for glob in globs)


def _names(folder: Path) -> list[str]:
    def refuse(cause: OSError) -> None:
        # os.walk would leave a folder it may not read out without a word
        raise DataError(f"the folder {cause.filename} cannot be read: {cause.strerror}") from cause

    return [
        (Path(place) / name).relative_to(folder).as_posix()
        for place, _, names in os.walk(folder, onerror=refuse)
        for name in names
    ]
