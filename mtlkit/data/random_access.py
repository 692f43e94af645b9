"""Reading parts of a file by position, from many threads, through one handle."""

import os
import weakref
from pathlib import Path
from typing import Any

import attrs

from mtlkit.errors import DataError


@attrs.frozen(eq=False)
class RandomAccessFile:
    """File of `size` bytes that is opened on the first read and stays open.

    Reads are independent, so threads share the object, and a copy in another process opens the file
    again. A file is refused if its size is no longer `size`, or if it was written to after the time
    `modified`, in nanoseconds; None leaves this out.
    """

    path: Path
    size: int
    modified: int | None = None
    _handle: list[int] = attrs.field(init=False, factory=list)

    @classmethod
    def open(cls, path: Path) -> "RandomAccessFile":
        """Return the file at `path`; raise `DataError` if it is missing."""
        try:
            status = path.stat()
            return cls(path, status.st_size, status.st_mtime_ns)
        except OSError as cause:
            raise _unreadable(path, cause) from cause

    def read(self, offset: int, count: int) -> bytes:
        """Return `count` bytes from `offset` on; `DataError` unless the file has them."""
        try:
            handle = self._opened()
            content = more = os.pread(handle, count, offset)
            while more and len(content) < count:
                more = os.pread(handle, count - len(content), offset + len(content))
                content += more
            # after the read, because the file may be overwritten at any time
            if self.modified not in (None, os.fstat(handle).st_mtime_ns):
                raise DataError(
                    f"{self.path}: was changed since it was indexed; restore it, or start a new run"
                )
        except OSError as cause:
            raise _unreadable(self.path, cause) from cause
        if len(content) != count:
            raise DataError(
                f"{self.path}: got {len(content)} bytes at byte {offset}, expected {count}; the "
                f"file is truncated, copy it again"
            )
        return content

    def _opened(self) -> int:
        if self._handle:
            return self._handle[0]
        handle = os.open(self.path, os.O_RDONLY)
        weakref.finalize(self, os.close, handle)
        size = os.fstat(handle).st_size
        if size != self.size:
            raise DataError(
                f"{self.path}: got {size} bytes, expected {self.size} as in its index; the file "
                f"is truncated or was changed, copy it again or index it anew"
            )
        self._handle.append(handle)
        return self._handle[0]

    def __reduce__(self) -> tuple[Any, ...]:
        return RandomAccessFile, (self.path, self.size, self.modified)


def _unreadable(path: Path, cause: OSError) -> DataError:
    return DataError(f"{path}: cannot be read: {cause.strerror or cause}")
