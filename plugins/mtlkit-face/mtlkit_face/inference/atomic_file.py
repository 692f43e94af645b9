"""Atomic file writes, and locks between processes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from mtlkit.plugins import DataError, replaced_file


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder, which replaces `path` on success.

    If the file system refuses the write, raises `DataError` and leaves `path` unchanged.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_path(Path(folder) / "a.txt") as partial:
    ...         _ = partial.write_text("complete")
    ...     sorted(file.name for file in Path(folder).iterdir())
    ['a.txt']
    """
    try:
        with replaced_file(path) as partial:
            yield partial
    except OSError as cause:
        raise _write_error(path, cause) from cause


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path`; raises `DataError` if the file cannot be created.

    The operating system releases the lock if the process ends; the empty file remains.
    """
    lock = FileLock(path)
    try:
        lock.acquire()
    except OSError as cause:
        raise _write_error(path, cause) from cause
    try:
        yield
    finally:
        lock.release()


def _write_error(path: Path, cause: OSError) -> DataError:
    return DataError(
        f"{path}: cannot be written: {cause.strerror or cause}. No partial file remains; free some "
        f"space, or choose another folder"
    )
