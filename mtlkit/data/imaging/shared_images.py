"""Decoded images that one process of a run leaves to the others on its machine."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import attrs
import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, ...]


@attrs.frozen
class SharedImages:
    """Pixels and errors of images in two files of `folder`, called `name`.

    Pixels are mapped into memory, so that the processes of a machine hold one copy. The folder may
    be removed as soon as every process has opened the files.
    """

    folder: Path
    name: str

    def create(self, shape: Shape) -> NDArray[np.uint8] | None:
        """Return a new array of zeros in a file; None if the disk or memory has no room for it."""
        try:
            with self._pixels.open("wb") as file:
                # a map of a file without blocks would end the process when the disk is full
                os.posix_fallocate(file.fileno(), 0, int(np.prod(shape)) or 1)
        except (OSError, AttributeError):  # macOS and Windows have no posix_fallocate
            self._pixels.unlink(missing_ok=True)
            return None
        return np.memmap(self._pixels, np.uint8, "r+", shape=shape) if np.prod(shape) else None

    def finish(self, errors: Mapping[int, str]) -> None:
        """Record that all images are decoded, with the `errors` of some by position."""
        partial = self._errors.with_suffix(".partial")
        partial.write_text(json.dumps(dict(errors)), encoding="utf-8")
        partial.rename(self._errors)

    def read(self, shape: Shape) -> tuple[NDArray[np.uint8] | None, dict[int, str]] | None:
        """Return the pixels, if they were stored, and the errors; None if they are unfinished."""
        if not self._errors.exists():
            return None
        text = self._errors.read_text(encoding="utf-8")
        errors = {int(position): reason for position, reason in json.loads(text).items()}
        if not self._pixels.exists():
            return None, errors
        # copy-on-write: nobody writes, but torch wants arrays that may be written
        return np.memmap(self._pixels, np.uint8, "c", shape=shape), errors

    @property
    def _pixels(self) -> Path:
        return self.folder / f"{self.name}.pixels"

    @property
    def _errors(self) -> Path:
        return self.folder / f"{self.name}.json"
