"""Atomic writes of files and folders."""

import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mtlkit.errors import RunError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Error numbers of a full disk, an exhausted quota and a file that is too large."""

TEMPORARY = ".partial-"
"""Prefix of the name of a file or folder while it is being written."""


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Raise a failure to write at `path` as a `RunError`."""
    try:
        yield
    except OSError as cause:
        why = "the disk is full" if cause.errno in FULL else (cause.strerror or str(cause))
        raise RunError(
            f"{path}: could not be written: {why}. No partial file was left and the last "
            f"checkpoint is kept; free some space or fix the cause, then resume the run"
        ) from cause


def write_file(path: Path, content: bytes) -> None:
    """Write `content` to `path` atomically. Raises `RunError` if writing fails."""
    with disk_errors(path), replaced_file(path) as partial:
        partial.write_bytes(content)


@contextmanager
def replaced_file(path: Path) -> Iterator[Path]:
    """Yield the path of a temporary file, which is synced and replaces `path` on success.

    Raises the errors of the file system, and leaves `path` unchanged after any error.
    """
    partial = path.with_name(f"{TEMPORARY}{path.name}")
    try:
        yield partial
        _sync_file(partial)
        partial.replace(path)
        _sync_folder(path.parent)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder with `files`, content by name, to `path` atomically.

    Replaces a folder at `path`. Raises `RunError` if writing fails.
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


def _sync_file(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    """Make a rename durable; not needed on systems without folder handles."""
    if os.name == "posix":
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
