"""Names of the people in images to enroll: one name for all, a table, or a folder per person."""

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from mtlkit.plugins import DataError


def names_of(
    files: Sequence[Path], name: str | None = None, table: Path | None = None
) -> tuple[str, ...]:
    """Return the name of the person in each of `files`.

    `name` applies to all files. `table` is a CSV file with the columns `file` and `name`; a
    file is relative to the table's folder if it exists there, else to the working directory. With
    neither, the name is that of the
    image's folder.
    """
    if name is not None and table is not None:
        raise DataError("got --name and --table, expected one of them")
    if name is not None:
        if not name.strip():
            raise DataError("--name: got an empty name, expected the name of a person")
        return tuple(name for _ in files)
    if table is not None:
        return _from_table(files, table)
    names = [path.resolve().parent.name for path in files]
    if "" in names:
        file = files[names.index("")]
        raise DataError(f"{file}: its folder has no name; name the person with --name")
    return tuple(names)


def gallery_key(file: Path, gallery: Path) -> str:
    """Return the path of an image relative to the folder of `gallery`, its name in the gallery.

    The key does not depend on the working directory, nor on where image and gallery have moved
    together.

    >>> gallery_key(Path("faces/ann/../bob/1.png"), Path("faces/people.parquet"))
    'bob/1.png'
    """
    path, folder = os.path.abspath(file), os.path.dirname(os.path.abspath(gallery))
    if Path(path).drive != Path(folder).drive:
        return path  # Windows has relative paths only within a drive
    return Path(os.path.relpath(path, folder)).as_posix()


def _from_table(files: Sequence[Path], table: Path) -> tuple[str, ...]:
    listed = _read(table)
    names = [listed.get(path.resolve(), "") for path in files]
    missing = [path for path, name in zip(files, names, strict=True) if not name]
    if missing:
        raise DataError(
            f"{table}: has no name for {len(missing)} of {len(files)} images, such as "
            f"{missing[0]}; add a line for each, whose file is relative to the table's folder or "
            f"else to the working directory, or leave out these images"
        )
    return tuple(names)


def _read(table: Path) -> Mapping[Path, str]:
    """Return the names in a table by the absolute path of the file."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as text:
            reader = csv.DictReader(text)
            columns = reader.fieldnames or []
            if not {"file", "name"} <= set(columns):
                raise DataError(
                    f"{table}: got the columns {', '.join(columns) or '(none)'}, expected file and "
                    f"name"
                )
            rows = [(row["file"] or "", row["name"] or "") for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as cause:
        raise DataError(f"{table}: cannot be read as a table: {cause}") from cause
    names: dict[Path, str] = {}
    for file, name in rows:
        beside = table.parent / file
        for path in (beside,) if beside.exists() else (beside, Path(file)):
            names[path.resolve()] = name.strip()
    return names
