"""The faces that a data source lists: images of a store, and whom each shows."""

import os
from collections.abc import Sequence
from pathlib import Path

import attrs

from mtlkit.plugins import DataError
from mtlkit_face.data.stored_faces import Store

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""The endings of a file that is taken for an image."""


@attrs.frozen(eq=False)
class FaceListing:
    """Faces of a store by position: `ids` (N,) name them in tables, `subjects` (N,) whom they show.

    `other` are the names of files that are no face of a subject.
    """

    store: Store
    ids: Sequence[str]
    subjects: Sequence[str]
    other: Sequence[str] = ()


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
