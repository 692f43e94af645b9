"""Encoded images by position: the contract, and files."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import attrs
import numpy as np
from numpy.typing import NDArray

from mtlkit.errors import DataError
from mtlkit.regular_files import read_regular

LARGEST_FILE = 1024**3
"""Maximum size of an image file, in bytes."""

Sizes = NDArray[np.integer[Any]]


@runtime_checkable
class Store(Protocol):
    """Encoded images by position."""

    def __len__(self) -> int:
        """Return the number of images, N."""

    def read(self, position: int, /) -> bytes:
        """Return the encoded image at `position`; `DataError` with the reason if it cannot."""

    def place(self, position: int, /) -> str:
        """Return the location of the image at `position`, for messages."""


@runtime_checkable
class EncodedSizes(Protocol):
    """A store, or inputs, that may have the sizes of their samples."""

    def encoded_sizes(self) -> Sizes | None:
        """Return a number (N,) for each sample that depends on its size or that of its file.

        None if only a read shows them.
        """


@attrs.frozen(eq=False)
class FileStore:
    """Image files, by their `names` relative to `folder`, or absolute."""

    folder: Path
    names: Sequence[str]
    _prefix: str = attrs.field(init=False)  # `os.path.join` would take a tenth of a read

    @_prefix.default
    def _folder_prefix(self) -> str:
        return "" if self.folder == Path() else os.path.join(self.folder, "")

    def __len__(self) -> int:
        return len(self.names)

    def read(self, position: int, /) -> bytes:
        try:
            return read_regular(self.place(position), LARGEST_FILE)
        except OSError as cause:
            raise DataError(f"cannot be read: {cause.strerror or cause}") from cause

    def at(self, positions: Sequence[int]) -> "FileStore":
        """Return the files at `positions`, in this order."""
        return FileStore(self.folder, [self.names[position] for position in positions])

    def place(self, position: int, /) -> str:
        name = self.names[position]
        return name if os.path.isabs(name) else self._prefix + name
