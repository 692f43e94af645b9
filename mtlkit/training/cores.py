"""The cores of this machine, which limit the threads of a run."""

import os
import platform

from mtlkit.errors import RunError


def cores() -> int:
    """Return the number of cores that this process may use."""
    if platform.system() == "Linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def require_cores(threads: int | None) -> None:
    """Raise `RunError` if a recipe has more `threads` than cores; None is always accepted.

    Torch creates all threads at once, and thousands of them exhaust the memory.
    """
    limit = cores()
    if threads is not None and threads > limit:
        raise RunError(
            f"train.threads: got {threads}, expected at most {limit}, the cores of this machine; "
            f"lower it, or leave it out"
        )
