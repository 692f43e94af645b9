"""Files that a protocol's lists name: found without leaving the set's folder, or known as missing.

A list is text from elsewhere. A path in it is followed only as far as it stays, as written, inside
the folder of the set; links on the disk are the user's own, and are followed.
"""

import os
import posixpath
from pathlib import Path, PurePosixPath, PureWindowsPath

from mtlkit.plugins import DataError

SUFFIXES = (".jpg", ".png", ".jpeg", ".JPG", ".PNG", ".JPEG", ".bmp")
"""Aligned copies often have another format than the list says; the name itself counts."""


def inside(root: Path, listed: str, place: str, start: str = ".") -> PurePosixPath:
    """The path `listed`, which starts from the folder `start` of `root`, as one that starts there.

    `DataError` names `place`, a file and line, where it would leave the folder.
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
            f"{place}: the path {listed!r} leaves the folder of the set ({root}); expected one "
            f"inside. A list that asks for other files is not to be trusted"
        )
    return PurePosixPath(joined)


class Tree:
    """The files below a folder, looked up by what a list calls them; a folder is read once."""

    def __init__(self, root: Path, aliases: dict[str, str] | None = None) -> None:
        if not root.is_dir():
            raise DataError(
                f"{root}: is no folder; expected the images of the set. Correct the option "
                f"`images` (a relative path starts from the working directory)"
            )
        self.root = root
        self._aliases = aliases or {}
        self._folders: dict[Path, frozenset[str]] = {}

    def find(self, relative: PurePosixPath) -> Path | None:
        """The file, or the one of the same name in another format; None where it is missing."""
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
                    found = frozenset(each.name for each in entries if not each.is_dir())
            except (FileNotFoundError, NotADirectoryError):
                found = frozenset()
            except OSError as cause:
                raise DataError(f"{folder}: cannot be read: {cause.strerror or cause}") from cause
            self._folders[folder] = found
        return self._folders[folder]
