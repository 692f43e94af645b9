"""The lock of a folder that one process at a time may write: of a run, or of a study.

The operating system releases it when its holder ends, so no lock is ever stale. Not every shared
file system has such locks between machines. A study therefore also keeps a file with the process
and the machine of its holder, created exclusively, which works on every file system. If its holder
dies, the file stays: a process of the same machine replaces it, one of another cannot detect it.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, SoftFileLock, Timeout

from mtlkit.atomic_files import make_folder
from mtlkit.errors import RunError

LOCK = ".lock"
"""The file whose lock the working process holds."""

HOLDER = ".holder"
"""The file that names the process and the machine that work in the folder of a study."""

TAKE_OVER = 1.0
"""Seconds to replace the holder file of a process of this machine that was killed."""


@contextmanager
def lock_folder(
    path: Path,
    kind: str,
    *,
    holder: Callable[[], int] = lambda: 0,
    timeout: float = 0.0,
    across_machines: bool = False,
) -> Iterator[None]:
    """Lock the folder against other processes; create it if it is missing.

    `kind` names its content in errors, such as "run". `across_machines` also locks it where the
    file system has no locks between machines. Raises `RunError` if another process holds the lock
    for longer than `timeout` seconds; `holder` returns its process id, or 0.
    """
    make_folder(path)
    with ExitStack() as stack:
        try:
            stack.enter_context(FileLock(path / LOCK).acquire(timeout=timeout))
            if across_machines:
                stack.enter_context(SoftFileLock(path / HOLDER).acquire(timeout=TAKE_OVER))
        except Timeout as cause:
            raise RunError(_refusal(path, kind, holder(), Path(cause.lock_file))) from None
        except OSError as cause:
            raise RunError(f"{path}: could not be locked: {cause.strerror}") from cause
        yield


def _refusal(path: Path, kind: str, process: int, lock: Path) -> str:
    """Return the message about a folder whose file `lock` another process holds."""
    who, remedy = f" ({process})" if process else "", "wait for it, or stop it first"
    with suppress(OSError, ValueError):
        pid, host, *_ = (path / HOLDER).read_text().split()
        who = f" (process {int(pid)} on the machine {host.partition('?')[0]})"
    if lock.name == HOLDER:
        remedy += f"; if it is gone for certain, as after a failure of its machine, remove {lock}"
    return f"{path}: another process{who} is working on this {kind}; {remedy}"


def is_locked(path: Path) -> bool:
    """Return whether a process is working in the folder.

    False if the lock cannot be tried, such as on a read-only disk.
    """
    if not (path / LOCK).exists():
        return False
    try:
        with FileLock(path / LOCK).acquire(timeout=0):
            return False
    except Timeout:
        return True
    except OSError:
        return False
