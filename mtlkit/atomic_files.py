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
    except FileNotFoundError as cause:
        raise RunError(
            f"{path}: could not be written: {cause.strerror}. Create its folder, or put it back "
            f"if it was moved, then repeat the command or resume the run"
        ) from cause
    except OSError as cause:
        raise RunError(
            f"{path}: could not be written: {reason_of(cause)}. No partial file was left; free "
            f"some space or fix the cause, then repeat the command or resume the run"
        ) from cause


def reason_of(cause: OSError) -> str:
    """Return the reason of a failed call of the system in a few words."""
    return "the disk is full" if cause.errno in FULL else (cause.strerror or str(cause))


def make_folder(path: Path) -> None:
    """Create the folder at `path` with its parents, unless it exists.

    Raises `RunError` if the system refuses, or if the path is not UTF-8: files of a run name it.
    """
    require_utf8(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise RunError(
            f"{str(path)[:200]}: could not be created: {reason_of(cause)}; choose another folder"
        ) from cause


def require_utf8(path: Path) -> None:
    """Raise `RunError` if the path is not UTF-8, which several libraries and formats require."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        text = os.fsencode(path).decode("utf-8", "backslashreplace")
        raise RunError(
            f"{text}: got a path with bytes that are not UTF-8; choose another, or rename it"
        ) from None


def require_folder(path: Path) -> None:
    """Raise `RunError` if the folder at `path`, in which a run is working, is gone."""
    if not path.is_dir():
        raise RunError(
            f"{path}: the folder was removed or moved while the run was working in it; put it "
            f"back, then resume the run"
        )


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

    A name may hold folders. Replaces a folder at `path`. Raises `RunError` if writing fails, also
    if the parent of `path` is missing: a folder that was moved away is not created again.
    """
    with disk_errors(path), replaced_folder(path) as partial:
        for name, content in files.items():
            (partial / name).parent.mkdir(parents=True, exist_ok=True)
            (partial / name).write_bytes(content)


@contextmanager
def replaced_folder(path: Path) -> Iterator[Path]:
    """Yield the path of a temporary folder, which is synced and replaces `path` on success.

    The parent of `path` must exist. Raises the errors of the file system, and leaves `path`
    unchanged after any error.
    """
    path = path.resolve()  # "." has no sibling
    partial = path.with_name(f"{TEMPORARY}{path.name}")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        yield partial
        for folder, _, names in os.walk(partial):
            for name in names:
                _sync_file(Path(folder, name))
            _sync_folder(Path(folder))
        if path.exists():
            shutil.rmtree(path)
        partial.rename(path)
        _sync_folder(path.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def remove_partial(folder: Path) -> None:
    """Remove the unfinished files and folders of a killed process in `folder`."""
    for path in folder.glob(f"{TEMPORARY}*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


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
