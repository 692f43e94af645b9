"""Files named by a protocol's lists, looked up inside the folder of the set only.

Lists are untrusted text: a path in them must stay inside the folder of the set as written. Links on
the disk belong to the user and are followed.
"""

import os
import posixpath
from pathlib import Path, PurePosixPath, PureWindowsPath

from mtlkit.plugins import DataError

SUFFIXES = (".jpg", ".png", ".jpeg", ".JPG", ".PNG", ".JPEG", ".bmp")
"""Formats of aligned copies, which often differ from the list; the listed name comes first."""


def inside(root: Path, listed: str, location: str, start: str = ".") -> PurePosixPath:
    """Return the path `listed`, relative to the folder `start` of `root`, relative to `root`.

    Raises `DataError` with the `location` (file and line) if it leaves `root`.
    """
    written = listed.strip().replace("\\", "/")
    absolute = written.startswith("/") or bool(PureWindowsPath(written).drive)
    joined = posixpath.normpath(posixpath.join(start, written))
    if (
        not written
        or "\0" in written
        or absolute
        or joined in (".", "..")
        or joined.startswith("../")
    ):
        raise DataError(
            f"{location}: the path {listed!r} leaves the folder of the set ({root}); expected one "
            f"inside. Do not trust a list that names other files"
        )
    return PurePosixPath(joined)


class Tree:
    """The files below a folder, looked up by listed name; each folder is read once."""

    def __init__(self, root: Path, aliases: dict[str, str] | None = None) -> None:
        if not root.is_dir():
            raise DataError(
                f"{root}: is not a folder; expected the images of the set. Correct the option "
                f"`images` (a relative path starts from the working directory)"
            )
        self.root = root
        self._aliases = aliases or {}
        self._folders: dict[Path, frozenset[str]] = {}

    def find(self, relative: PurePosixPath) -> Path | None:
        """Return the file, or one of the same name in another format, or None if it is missing."""
        first, *rest = relative.parts
        for head in (first, self._aliases.get(first)):
            if head is None:
                continue
            path = self.root.joinpath(head, *rest)
            names = self._names(path.parent)
            for name in (path.name, *(path.stem + suffix for suffix in SUFFIXES)):
                if name in names:
                    return path.with_name(name)
        return None

    def _names(self, folder: Path) -> frozenset[str]:
        if folder not in self._folders:
            try:
                with os.scandir(folder) as entries:
                    names = frozenset(entry.name for entry in entries if not entry.is_dir())
            except (FileNotFoundError, NotADirectoryError):
                names = frozenset()
            except OSError as cause:
                raise DataError(f"{folder}: cannot be read: {cause.strerror or cause}") from cause
            self._folders[folder] = names
        return self._folders[folder]
