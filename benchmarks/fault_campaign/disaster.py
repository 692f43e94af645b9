"""A disaster at the n-th event of the file system: a killed process, or a full disk."""

import errno
import os
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT

CREATING = ("open", "os.mkdir", "fsync", "write")
"""Events that need space on the disk."""

EVENTS = (*CREATING, "os.rename", "os.remove", "os.rmdir", "os.truncate")


class Disaster:
    """Counts events below a folder in this process, and strikes at the event `number`, from 0.

    Python's audit hooks report opening, renaming and removing; syncs and the lines of logs are
    counted by wrappers. An audit hook cannot be removed, so each disaster needs a new process.
    """

    def __init__(self, below: Path, number: int, *, full: bool = False) -> None:
        self.below, self.number, self.full = str(below.absolute()), number, full
        self.events = 0
        self._sync = os.fsync
        self._synced: dict[int, int] = {}  # sizes by inode

    def install(self) -> "Disaster":
        """Start counting; what is on the disk by now counts as synced."""
        for root, _, names in os.walk(self.below):
            for status in (os.stat(os.path.join(root, name)) for name in names):
                self._synced[status.st_ino] = status.st_size
        sys.addaudithook(self._audit)
        os.fsync = self._fsync
        from mtlkit.loggers.lines_file import LinesFile

        plain = LinesFile.__init__

        def opened(log: Any, *arguments: Any) -> None:
            plain(log, *arguments)
            log._file = TornFile(log._file, self)

        LinesFile.__init__ = opened
        return self

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in EVENTS:
            return
        path = arguments[0]
        if event == "open":
            flags = arguments[2] if isinstance(arguments[2], int) else 0
            if not flags & WRITES:
                return
        if isinstance(path, int):
            return
        if os.path.isabs(path) and not os.fsdecode(path).startswith(self.below):
            return
        if not os.path.isabs(path) and not os.path.abspath(os.fsdecode(path)).startswith(
            self.below
        ):
            relative_to_handle = event in ("os.remove", "os.rmdir") and arguments[-1] != -1
            if not relative_to_handle:
                return
        self.strike(event)

    def _fsync(self, handle: int) -> None:
        """Sync; a process that dies before may leave half of what was not synced yet."""
        status = os.fstat(handle)
        synced = min(self._synced.get(status.st_ino, 0), status.st_size)

        def tear() -> None:
            if stat.S_ISREG(status.st_mode):
                os.ftruncate(handle, (synced + status.st_size) // 2)

        self.strike("fsync", tear)
        self._sync(handle)
        self._synced[status.st_ino] = status.st_size

    def strike(self, event: str, before: Callable[[], None] = lambda: None) -> None:
        """Count an event; at the chosen one run `before`, then kill the process or fail."""
        at, self.events = self.events, self.events + 1
        if self.full:
            if at >= self.number and event in CREATING:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        elif at == self.number:
            before()
            os.kill(os.getpid(), signal.SIGKILL)


class TornFile:
    """A log whose lines may be torn: at a disaster, half of the line is in the file."""

    def __init__(self, file: Any, disaster: Disaster) -> None:
        self._file, self._disaster = file, disaster

    def write(self, text: bytes) -> None:
        """Write a line, or half of it."""

        def tear() -> None:
            self._file.write(text[: len(text) // 2])
            self._file.flush()

        self._disaster.strike("write", tear)
        self._file.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
