"""Files that are on disk whole or not at all."""

import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mtlkit.errors import RunError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system says when a file cannot grow: disk full, quota used up, file too large."""

TEMPORARY = ".partial-"
"""How the name of a file or folder begins while it is being written."""


@contextmanager
def disk_errors(place: Path) -> Iterator[None]:
    """Turn a failure to write at `place` into a `RunError` that says what to do."""
    try:
        yield
    except OSError as cause:
        why = "the disk is full" if cause.errno in FULL else (cause.strerror or str(cause))
        raise RunError(
            f"{place}: could not be written: {why}. Nothing half-written was left and the last "
            f"checkpoint is kept; free some space or mend the cause, then resume the run"
        ) from cause


def write_file(path: Path, content: bytes) -> None:
    """Put `content` at `path`, whole or not at all; `RunError` where the disk refuses."""
    partial = path.with_name(f"{TEMPORARY}{path.name}")
    with disk_errors(path):
        try:
            _write_synced(partial, content)
            partial.replace(path)
            _sync_folder(path.parent)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


def write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Put a folder with `files`, content by name, at `path`, whole or not at all.

    Raises `RunError` where the disk refuses. A folder at `path` is replaced.
    """
    partial = path.with_name(f"{TEMPORARY}{path.name}")
    with disk_errors(path):
        try:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            for name, content in files.items():
                _write_synced(partial / name, content)
            _sync_folder(partial)
            if path.exists():
                shutil.rmtree(path)
            partial.rename(path)
            _sync_folder(path.parent)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    """Make a rename durable; systems without folder handles do so by themselves."""
    if os.name == "posix":
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
