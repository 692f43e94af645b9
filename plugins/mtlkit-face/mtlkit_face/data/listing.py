"""Which faces a folder or a RecordIO file holds, and whom they show."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

import attrs

from mtlkit.errors import DataError
from mtlkit_face.data.recordio_faces import open_record_faces
from mtlkit_face.data.stored_faces import FileStore, Store
from mtlkit_face.data.text_file import read_lines

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""The endings of a file that is taken for an image."""

Progress = Callable[[str, int, int], None]


@attrs.frozen(eq=False)
class Listing:
    """Faces of a store by position: `ids` (N,) name them in tables, `subjects` (N,) whom they show.

    `other` are the names of files that are no face of a subject.
    """

    store: Store
    ids: Sequence[str]
    subjects: Sequence[str]
    other: Sequence[str] = ()


def list_folder(folder: Path) -> Listing:
    """The images of `folder`; whose name is the first folder of a path is whom it shows."""
    names: list[str] = []
    other: list[str] = []
    for name in sorted(files_of(folder)):
        path = PurePosixPath(name)
        image = path.suffix.lower() in SUFFIXES and len(path.parts) > 1
        (names if image else other).append(name)
    if not names:
        raise DataError(
            f"{folder}: there is no image in a folder of its subject; expected such as "
            f"{folder}/subject/image.jpg"
        )
    subjects = [name.partition("/")[0] for name in names]
    return Listing(FileStore(folder, names), names, subjects, other)


def files_of(folder: Path) -> list[str]:
    """The names of all files below `folder`, relative to it; `DataError` where one may not look."""

    def refuse(cause: OSError) -> None:
        raise DataError(f"the folder {cause.filename} cannot be read: {cause.strerror}") from cause

    start = len(str(folder)) + 1
    return [
        os.path.join(place, name)[start:].replace(os.sep, "/")
        for place, _, names in os.walk(folder, onerror=refuse)
        for name in names
    ]


def list_files(folder: Path, listed: Path) -> Listing:
    """The images that lines ``path<TAB>subject`` of the text file `listed` name.

    Raises `DataError` with the line for one without a subject, an image that stands twice, leads
    out of `folder` or is not there.
    """
    places: dict[str, int] = {}
    names, subjects = [], []
    for number, line in enumerate(read_lines(listed, "paths and subjects"), start=1):
        if not line.strip():
            continue
        name, *rest = line.rstrip("\n").split("\t")
        where = f"{listed}:{number}"
        if not rest or not rest[0].strip():
            raise DataError(
                f"{where}: expected a path, a tab and a subject, found {line.strip()!r}"
            )
        path = PurePosixPath(name.strip())
        if path.is_absolute() or ".." in path.parts:
            raise DataError(f"{where}: the path {name!r} leads out of {folder}")
        name = path.as_posix()
        if name in places:
            raise DataError(f"{where}: {name!r} was already listed in line {places[name]}")
        if not (folder / name).is_file():
            raise DataError(f"{where}: there is no file {folder / name}")
        places[name] = number
        names.append(name)
        subjects.append(rest[0].strip())
    if not names:
        raise DataError(f"{listed}: the list is empty")
    return Listing(FileStore(folder, names), names, subjects)


def list_records(path: Path, progress: Progress) -> Listing:
    """The images of the RecordIO file at `path`, by their keys."""
    faces = open_record_faces(path, progress)
    if not len(faces):
        raise DataError(f"{path}: holds no image")
    return Listing(faces, [*map(str, faces.keys)], [*map(str, faces.subjects)])
