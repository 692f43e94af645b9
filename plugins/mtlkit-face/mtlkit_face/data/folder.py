"""Data source of faces in a folder: one folder per subject, or a list of files."""

from pathlib import Path, PurePosixPath

import attrs

from mtlkit.data import Data, FileStore, Loading
from mtlkit.plugins import DataError
from mtlkit_face.data.image_source import FaceImageSource, load_listing
from mtlkit_face.data.input_files import locate, read_lines
from mtlkit_face.data.listing import SUFFIXES, FaceListing, files_of


@attrs.frozen(kw_only=True)
class FaceFolder(FaceImageSource):
    """Faces in a folder: one folder per subject, or a list of files and subjects.

    The first folder of an image's path below `folder` is the name of its subject. With `files`, a
    text file with lines ``path<TAB>subject``, only these images are used; further columns are
    ignored. A relative `files` is resolved against `folder`, then against the recipe's folder.

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
    """List the images of `folder`; the first folder of an image's path names its subject."""
    names: list[str] = []
    other: list[str] = []
    for name in sorted(files_of(folder)):
        path = PurePosixPath(name)
        image = path.suffix.lower() in SUFFIXES and len(path.parts) > 1
        (names if image else other).append(name)
    if not names:
        raise DataError(
            f"{folder}: contains no image in a folder of its subject; expected files such as "
            f"{folder}/subject/image.jpg"
        )
    subjects = [name.partition("/")[0] for name in names]
    return FaceListing.of(FileStore(folder, names), names, subjects, other)


def list_files(folder: Path, listed: Path) -> FaceListing:
    """List the images named by the lines ``path<TAB>subject`` of the text file `listed`.

    Raises `DataError` with the line number if a subject is missing, or if an image is listed twice,
    is outside of `folder` or is missing.
    """
    line_of: dict[str, int] = {}
    names, subjects = [], []
    for number, line in enumerate(read_lines(listed, "paths and subjects"), start=1):
        if not line.strip():
            continue
        name, *rest = line.rstrip("\n").split("\t")
        location = f"{listed}:{number}"
        if not rest or not rest[0].strip():
            raise DataError(
                f"{location}: got {line.strip()!r}, expected a path, a tab and a subject"
            )
        path = PurePosixPath(name.strip())
        if path.is_absolute() or ".." in path.parts:
            raise DataError(f"{location}: the path {name!r} is outside of {folder}")
        name = path.as_posix()
        if name in line_of:
            raise DataError(f"{location}: {name!r} is already listed in line {line_of[name]}")
        if not (folder / name).is_file():
            raise DataError(f"{location}: the file {folder / name} does not exist")
        line_of[name] = number
        names.append(name)
        subjects.append(rest[0].strip())
    if not names:
        raise DataError(f"{listed}: the list is empty")
    return FaceListing.of(FileStore(folder, names), names, subjects)
