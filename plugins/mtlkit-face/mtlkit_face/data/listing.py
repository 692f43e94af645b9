"""Listing of the faces of a data source: images of a store, and their subjects."""

import os
from collections.abc import Sequence
from pathlib import Path

import attrs

from mtlkit.data import Store
from mtlkit.plugins import DataError

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""Suffixes of image files."""


@attrs.frozen(eq=False)
class FaceListing:
    """Faces of a store by position, with their `ids` (N,) in tables and their `subjects` (N,).

    `other` are the names of files that are not faces of a subject.
    """

    store: Store
    ids: Sequence[str]
    subjects: Sequence[str]
    other: Sequence[str] = ()


def files_of(folder: Path) -> list[str]:
    """Return the names of all files below `folder`, relative to it.

    Raises `DataError` if a folder cannot be read.
    """

    def fail(cause: OSError) -> None:
        raise DataError(f"{cause.filename}: cannot be read: {cause.strerror}") from cause

    start = len(str(folder)) + 1
    return [
        os.path.join(parent, name)[start:].replace(os.sep, "/")
        for parent, _, names in os.walk(folder, onerror=fail)
        for name in names
    ]
