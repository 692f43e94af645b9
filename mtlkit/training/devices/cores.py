"""CPU cores: the number that this process may use, and the part that other processes keep busy.

OpenMP threads wait for each other at the end of every operation. A thread whose core is held by
another process delays all others, so a run with as many threads as cores becomes slower than one
with a thread for each free core.
"""

import math
import os
import time
from collections.abc import Sequence
from pathlib import Path

import attrs
import torch

from mtlkit.errors import RunError

SAMPLE = 0.25
"""Seconds over which the load is measured at the start of a run."""

_QUOTAS = ("cpu.max", "cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us")
"""Files of a container's limit of CPU time, in control groups of version 2 and 1."""


@attrs.frozen
class CPUTimes:
    """Seconds of CPU time: idle ones of the cores, and those used by this process.

    `clock` is the time at which they were read.
    """

    clock: float
    idle: float  # sum over the cores of `core_numbers`
    process: float


def core_numbers() -> Sequence[int]:
    """Return the numbers of the cores on which this process may run."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    return range(os.cpu_count() or 1) if affinity is None else sorted(affinity(0))


def available_cores(groups: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the number of cores that this process may use, at most the limit of its container."""
    cores = len(core_numbers())
    for files in _QUOTAS:
        try:
            words = " ".join((groups / name).read_text() for name in files.split()).split()
            quota, period = (int(word) for word in words)
        except (OSError, ValueError):  # another version, or "max": no limit
            continue
        if quota > 0:
            cores = min(cores, math.ceil(quota / period))
    return cores


def cpu_times(stat: Path = Path("/proc/stat")) -> CPUTimes | None:
    """Return the present times, or None where the system does not list those of its cores."""
    lines = {f"cpu{number}" for number in core_numbers()}
    try:
        rows = [line.split() for line in stat.read_text().splitlines()]
        # columns 4 and 5: idle, and idle while waiting for a disk
        ticks = sum(int(row[4]) + int(row[5]) for row in rows if row and row[0] in lines)
        return CPUTimes(time.monotonic(), ticks / os.sysconf("SC_CLK_TCK"), time.process_time())
    except (OSError, ValueError, IndexError, AttributeError):
        return None


def busy_cores(start: CPUTimes, end: CPUTimes) -> float:
    """Return the mean number of cores that other processes used between two readings.

    >>> cores = len(core_numbers())
    >>> busy_cores(CPUTimes(0.0, 0.0, 0.0), CPUTimes(10.0, 10.0 * cores - 6.0, 1.0))
    0.5
    """
    seconds = end.clock - start.clock
    used = (end.idle - start.idle + end.process - start.process) / seconds
    return min(max(len(core_numbers()) - used, 0.0), float(len(core_numbers())))


def fitting_threads(busy: float, most: int) -> int:
    """Return one thread for each free core, from 1 to `most`, if `busy` cores are in use.

    >>> busy_halves = (0.0, 0.4 * len(core_numbers()), 1.0 * len(core_numbers()))
    >>> [fitting_threads(busy, most=1) for busy in busy_halves]
    [1, 1, 1]
    """
    return max(1, min(most, math.floor(len(core_numbers()) - busy + 0.5)))


def free_threads(most: int) -> int:
    """Return the number of threads for the cores that are free now, from 1 to `most`."""
    if most == 1 or (start := cpu_times()) is None:
        return most
    time.sleep(SAMPLE)
    end = cpu_times()
    return most if end is None else fitting_threads(busy_cores(start, end), most)


WORKERS_PER_CORE = 16
"""Largest number of workers for each core; more wait for a slow disk or network in vain."""


def refuse_too_many_workers(option: str, workers: int | str | None) -> None:
    """Raise `RunError` if `workers` of an `option` are more than 16 for each available core."""
    cores = available_cores()
    if isinstance(workers, int) and workers > WORKERS_PER_CORE * cores:
        raise RunError(
            f"{option}: got {workers}, expected at most {WORKERS_PER_CORE * cores}, "
            f"{WORKERS_PER_CORE} for each CPU core that this process may use; use fewer"
        )


def refuse_too_many(threads: int | str, workers: int | str = "auto") -> None:
    """Raise `RunError` if `threads` are more than the available cores, or for too many `workers`.

    Both are numbers or ``auto``.
    """
    refuse_too_many_workers("train.workers", workers)
    cores = available_cores()
    if isinstance(threads, int) and threads > cores:
        plural = "" if cores == 1 else "s"
        raise RunError(
            f"train.threads: got {threads}, expected at most {cores}, the number of CPU cores that "
            f"this process may use; use `threads: auto`, or state at most {cores} thread{plural}"
        )


def reads_ahead(workers: int | str, device: torch.device) -> bool:
    """Return whether samples are read during updates, for the option `train.workers`.

    With ``auto``, that is if updates leave a core idle: those on a GPU, or with fewer threads than
    cores.

    >>> reads_ahead("auto", torch.device("cuda")), reads_ahead(0, torch.device("cuda"))
    (True, False)
    """
    if workers != "auto":
        return workers != 0
    return device.type != "cpu" or torch.get_num_threads() < available_cores()
