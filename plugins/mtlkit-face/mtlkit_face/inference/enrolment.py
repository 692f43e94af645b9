"""Who is in the images to be enrolled: one name for all, a table, or a folder for each person."""

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from mtlkit.plugins import DataError


def names_of(
    files: Sequence[Path], name: str | None = None, table: Path | None = None
) -> tuple[str, ...]:
    """The name of who each of `files` shows.

    `name` is that of all; `table` a CSV file with the columns `file` and `name`, files as given or
    relative to the table; with neither, an image's folder is called after the person in it.
    """
    if name is not None and table is not None:
        raise DataError("expected one of --name and --table, found both")
    if name is not None:
        if not name.strip():
            raise DataError("--name: expected somebody's name, found nothing")
        return tuple(name for _ in files)
    if table is not None:
        return _from_table(files, table)
    names = [path.resolve().parent.name for path in files]
    nameless = [path for path, found in zip(files, names, strict=True) if not found]
    if nameless:
        raise DataError(f"{nameless[0]}: lies in no folder with a name; give one with --name")
    return tuple(names)


def known_as(file: Path, gallery: Path) -> str:
    """What the gallery at `gallery` calls an image: the way to it from the gallery's own folder.

    So one image has one name, however and from wherever it is typed, also where both have moved.

    >>> known_as(Path("faces/ann/../bob/1.png"), Path("faces/people.parquet"))
    'bob/1.png'
    """
    full, home = os.path.abspath(file), os.path.dirname(os.path.abspath(gallery))
    if Path(full).drive != Path(home).drive:
        return full  # of Windows: there is no way from one drive to another
    return Path(os.path.relpath(full, home)).as_posix()


def _from_table(files: Sequence[Path], table: Path) -> tuple[str, ...]:
    listed = _read(table)
    names = [listed.get(path.resolve(), "") for path in files]
    missing = [path for path, found in zip(files, names, strict=True) if not found]
    if missing:
        raise DataError(
            f"{table}: names nobody for {len(missing)} of {len(files)} images, such as "
            f"{missing[0]}; add a line for each, or leave these images out"
        )
    return tuple(names)


def _read(table: Path) -> Mapping[Path, str]:
    """The names in a table, by the file's full path."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as text:
            reader = csv.DictReader(text)
            columns = reader.fieldnames or []
            if not {"file", "name"} <= set(columns):
                raise DataError(
                    f"{table}: expected the columns file and name, "
                    f"found {', '.join(columns) or 'none'}"
                )
            rows = [(row["file"] or "", row["name"] or "") for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as cause:
        raise DataError(f"{table}: cannot be read as a table: {cause}") from cause
    found: dict[Path, str] = {}
    for file, name in rows:
        for place in (Path(file), table.parent / file):
            found[place.resolve()] = name.strip()
    return found
