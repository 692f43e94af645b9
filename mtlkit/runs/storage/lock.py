"""The lock of a folder that one process at a time may write: of a run, or of a study.

The operating system releases it when its holder ends, so no lock is ever stale.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from mtlkit.atomic_files import make_folder
from mtlkit.errors import RunError

LOCK = ".lock"
"""The file whose lock the working process holds."""


@contextmanager
def lock_folder(
    path: Path, kind: str, *, holder: Callable[[], int] = lambda: 0, timeout: float = 0.0
) -> Iterator[None]:
    """Lock the folder against other processes; create it if it is missing.

    `kind` names its content in errors, such as "run". Raises `RunError` if another process holds
    the lock for longer than `timeout` seconds; `holder` returns its process id, or 0.
    """
    make_folder(path)
    lock = FileLock(path / LOCK)
    try:
        lock.acquire(timeout=timeout)
    except Timeout:
        process = f" ({holder()})" if holder() else ""
        raise RunError(
            f"{path}: another process{process} is working on this {kind}; wait for it, or stop it "
            f"first"
        ) from None
    except OSError as cause:
        raise RunError(f"{path}: could not be locked: {cause.strerror}") from cause
    try:
        yield
    finally:
        lock.release()


def is_locked(path: Path) -> bool:
    """Return whether a process is working in the folder.

    False if the lock cannot be tried, such as on a read-only disk.
    """
    if not (path / LOCK).exists():
        return False
    lock = FileLock(path / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:
        return False
    lock.release()
    return False
