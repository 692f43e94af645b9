"""Faces in a folder as a data source: a folder for each subject, or a list of files."""

from pathlib import Path, PurePosixPath

import attrs

from mtlkit.data import Data, Loading
from mtlkit.plugins import DataError
from mtlkit_face.data.image_source import FaceImageSource, load_listing
from mtlkit_face.data.input_files import locate, read_lines
from mtlkit_face.data.listing import SUFFIXES, FaceListing, files_of
from mtlkit_face.data.stored_faces import FileStore


@attrs.frozen(kw_only=True)
class FaceFolder(FaceImageSource):
    """Faces in a folder: a folder for each subject, or a list of files and subjects.

    In `folder`, an image belongs to the subject whose name the first folder of its path has. With
    `files`, a text file with lines ``path<TAB>subject``, these images are taken and no others;
    further columns are not looked at. It is looked for in `folder`, then beside the recipe.

    >>> FaceFolder(folder=Path("CASIA-WebFace")).size
    100
    """

    folder: Path
    files: Path | None = None

    def load(self, loading: Loading) -> Data:
        folder = locate(self.folder, (loading.base, Path()), "folder")
        if self.files is None:
            return load_listing(self, list_folder(folder), folder, loading)
        files = locate(self.files, (folder, loading.base, Path()), "files")
        return load_listing(self, list_files(folder, files), folder, loading)


def list_folder(folder: Path) -> FaceListing:
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
    return FaceListing(FileStore(folder, names), names, subjects, other)


def list_files(folder: Path, listed: Path) -> FaceListing:
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
    return FaceListing(FileStore(folder, names), names, subjects)
