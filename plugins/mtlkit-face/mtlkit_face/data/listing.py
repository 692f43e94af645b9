"""Listing of the faces of a data source: images of a store, and their subjects."""

import os
from collections.abc import Sequence
from pathlib import Path

import attrs
import numpy as np
import numpy.typing as npt

from mtlkit.data import Categorical, Store, escaped, is_utf8
from mtlkit.plugins import DataError

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""Suffixes of image files."""


@attrs.frozen(eq=False)
class FaceListing:
    """Faces of a store by position, with their `ids` (N,) in tables.

    `codes` (N,) are their subjects in `names`, which are in natural order. `other` are the names of
    files that are not faces of a subject.
    """

    store: Store
    ids: Sequence[str]
    codes: npt.NDArray[np.int32]
    names: tuple[str, ...]
    other: Sequence[str] = ()

    @classmethod
    def of(
        cls, store: Store, ids: Sequence[str], subjects: Sequence[str], other: Sequence[str] = ()
    ) -> "FaceListing":
        """Return the listing of faces whose `subjects` (N,) are given by name."""
        column = Categorical.of(subjects)
        return cls(store, ids, column.codes.numpy().astype(np.int32), column.names, other)

    @property
    def subjects(self) -> list[str]:
        """The name of the subject of each face."""
        return [self.names[code] for code in self.codes.tolist()]


def files_of(folder: Path) -> list[str]:
    """Return the names of all files below `folder`, relative to it.

    Bytes that are not UTF-8 become escape sequences, because tables and reports hold the names.
    Raises `DataError` for such an image, and if a folder cannot be read.
    """

    def fail(cause: OSError) -> None:
        raise DataError(f"{cause.filename}: cannot be read: {cause.strerror}") from cause

    start = len(str(folder)) + 1
    files = [
        os.path.join(parent, name)[start:].replace(os.sep, "/")
        for parent, _, names in os.walk(folder, onerror=fail)
        for name in names
    ]
    odd = [name for name in files if not is_utf8(name)]
    images = sorted(n for n in map(escaped, odd) if os.path.splitext(n)[1].lower() in SUFFIXES)
    if images:
        raise DataError(
            f"{folder}: got {len(images)} images whose names are not UTF-8, such as {images[0]}; "
            f"rename them"
        )
    return [escaped(name) for name in files] if odd else files
