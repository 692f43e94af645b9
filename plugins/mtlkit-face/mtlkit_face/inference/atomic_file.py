"""Files that come to be whole or not at all, by one process at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from mtlkit.plugins import DataError


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A place beside `path` to write to, which takes the place of `path` when all went well.

    Raises `DataError` where the disk refuses; `path` is then what it was.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_path(Path(folder) / "a.txt") as place:
    ...         _ = place.write_text("whole")
    ...     sorted(found.name for found in Path(folder).iterdir())
    ['a.txt']
    """
    partial = path.with_name(f".partial-{path.name}")
    try:
        yield partial
        partial.replace(path)
    except OSError as refused:
        raise _refusal(path, refused) from refused
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Keep other processes waiting that want the lock at `path`; `DataError` where it cannot be.

    The lock is the system's and dies with its holder; the empty file stays.
    """
    lock = FileLock(path)
    try:
        lock.acquire()
    except OSError as refused:
        raise _refusal(path, refused) from refused
    try:
        yield
    finally:
        lock.release()


def _refusal(path: Path, refused: OSError) -> DataError:
    return DataError(
        f"{path}: cannot be written: {refused.strerror or refused}. Nothing half-written was "
        f"left; free some space, or choose another place"
    )
