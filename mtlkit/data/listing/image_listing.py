"""Files and their labels, listed before any file is opened."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import attrs

from mtlkit.data.listing.filename_pattern import compile_pattern
from mtlkit.errors import DataError
from mtlkit.regular_files import is_file

SUFFIXES = frozenset(
    {".bmp", ".gif", ".jp2", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif"}
    | {".tiff", ".webp"}
)
"""Suffixes of images: such a file is an error if it does not match the pattern."""


@attrs.frozen
class Row:
    """A labeled file: its name in the folder, its labels (None: missing), and their source."""

    file: str
    labels: Mapping[str, str | None]
    place: str


@attrs.frozen
class Fault:
    """A file that cannot be used, and the reason."""

    file: str
    reason: str


@attrs.frozen
class Listing:
    """The labeled files by name, those that cannot be used, and those that are not images."""

    rows: Sequence[Row]
    faults: Sequence[Fault] = ()
    other: Sequence[str] = ()


def list_by_pattern(folder: Path, pattern: str, ignore: Sequence[str]) -> Listing:
    """Return the files of `folder` with the labels in their names.

    A file that does not match is a fault if it has the suffix of an image; others are not images.
    """
    expression = compile_pattern(pattern)
    rows, faults, other = [], [], []
    for name in sorted(files_below(folder)):
        if _ignored(name, ignore):
            continue
        match = expression.fullmatch(name)
        if match is None and PurePosixPath(name).suffix.lower() not in SUFFIXES:
            other.append(escaped(name))
        elif not is_utf8(name):
            faults.append(Fault(escaped(name), NOT_UTF8))
        elif match is None:
            faults.append(Fault(name, f"does not match the pattern {pattern!r}"))
        else:
            rows.append(Row(name, match.groupdict(), name))
    return Listing(rows, faults, other)


def list_by_table(
    folder: Path, rows: Sequence[Row], ignore: Sequence[str], *, outside: bool = False
) -> Listing:
    """Return the files in `rows` of a table; a file that `folder` does not contain is a fault.

    A path that leaves the folder, such as ``../a.png``, is a fault unless `outside` is true.
    Raises `DataError` if two rows name the same file.
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
        if not outside and leaves_folder(row.file):
            reason = (
                f"is outside of the folder (listed at {row.place}); allow it by `outside: true`"
            )
            faults.append(Fault(row.file, reason))
        elif is_file(folder / row.file):
            present.append(row)
        else:
            faults.append(Fault(row.file, f"is missing (listed at {row.place})"))
    return Listing(present, faults)


NOT_UTF8 = "its name is not UTF-8; rename it"
"""Reason against a file whose name cannot be written into a table of predictions."""


def is_utf8(name: str) -> bool:
    r"""Return whether the bytes of a file's name are UTF-8.

    >>> is_utf8("caf\xe9.png"), is_utf8("caf\udce9.png")
    (True, False)
    """
    return not any("\ud800" <= character <= "\udfff" for character in name)


def escaped(name: str) -> str:
    r"""Return the name of a file with each byte that is not UTF-8 as an escape sequence.

    >>> print(escaped("caf\udce9.png"))
    caf\xe9.png
    """
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def leaves_folder(name: str) -> bool:
    """Return whether a relative path in a table is absolute or goes above its folder.

    >>> leaves_folder("a/../b.png"), leaves_folder("../b.png"), leaves_folder("/b.png")
    (False, True, True)
    """
    path = os.path.normpath(name)
    return os.path.isabs(path) or path.split(os.sep)[0] == os.pardir


def _ignored(name: str, globs: Sequence[str]) -> bool:
    return any(PurePosixPath(name).match(glob) for glob in globs)


def files_below(folder: Path) -> list[str]:
    """Return the names of the files below `folder`; `DataError` for an unreadable folder."""

    def refuse(cause: OSError) -> None:
        # os.walk skips unreadable folders silently by default
        raise DataError(f"the folder {cause.filename} cannot be read: {cause.strerror}") from cause

    return [
        (Path(parent) / name).relative_to(folder).as_posix()
        for parent, _, names in os.walk(folder, onerror=refuse)
        for name in names
    ]
