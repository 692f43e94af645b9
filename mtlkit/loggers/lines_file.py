"""A file of lines that only grows, so that a resumed run continues it exactly."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mtlkit.checksums import RunningChecksum
from mtlkit.errors import RunError


class LinesFile:
    """A file of lines that are appended, truncated after the last complete line of `step`.

    `step_of` returns the step of a line. Raises `RunError` if reading or writing fails.
    """

    def __init__(self, path: Path, step: int, step_of: Callable[[bytes], int]) -> None:
        self.path = path
        self._size = 0
        self._digest = RunningChecksum()
        try:
            with path.open("ab+") as file:
                file.seek(0)
                for line in file:
                    if not line.endswith(b"\n") or step_of(line) > step:
                        break
                    self._add(line)
                file.truncate(self._size)
            self._file = path.open("ab")
        except OSError as cause:
            raise RunError(f"{path}: could not be opened for writing: {cause.strerror}") from cause
        except (ValueError, KeyError, TypeError) as cause:
            raise RunError(
                f"{path}: contains a line that mtlkit did not write ({cause}); move the file away "
                f"and resume the run with `--accept log`"
            ) from cause

    def _add(self, line: bytes) -> None:
        self._size += len(line)
        self._digest.update(line)

    def write(self, line: str) -> None:
        with self._errors():
            content = f"{line}\n".encode()
            self._file.write(content)
            self._file.flush()  # makes the event visible to readers and detects a full disk
            self._add(content)

    def flush(self) -> None:
        with self._errors():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._require_same_file()

    def _require_same_file(self) -> None:
        """Raise `RunError` if the file was removed, replaced or cut while it was written."""
        open_file = os.fstat(self._file.fileno())
        named = self.path.stat() if self.path.exists() else None
        if named is None or not os.path.samestat(open_file, named) or named.st_size != self._size:
            raise RunError(
                f"{self.path}: got a file that was removed, replaced or cut while the run wrote "
                f"to it, expected {self._size} bytes; restore it from a copy, or resume the run "
                f"with `--accept log`"
            )

    def state(self) -> tuple[int, str]:
        return self._size, self._digest.hexdigest()

    def close(self) -> None:
        with self._errors():
            self._file.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as cause:
            raise RunError(
                f"{self.path}: could not be written: {cause.strerror}. The last checkpoint is "
                f"kept; free some space or fix the cause, then resume the run"
            ) from cause
