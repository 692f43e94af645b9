"""The memory that decoded data may take."""

from pathlib import Path
from typing import Literal

GIB = 1024**3

FALLBACK = 2 * GIB
"""Limit in bytes where the system does not report its memory."""

_LIMITS = (
    ("memory.max", "memory.current"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
)
"""Files of a container's limit and use of memory, in control groups of version 2 and 1."""


def memory_limit(stated: float | Literal["auto"]) -> int:
    """Return a limit in bytes: the `stated` GiB, or half of the available memory.

    >>> memory_limit(0.5)
    536870912
    """
    if stated != "auto":
        return int(stated * GIB)
    available = available_memory()
    return FALLBACK if available is None else available // 2


def available_memory(
    info: Path = Path("/proc/meminfo"), groups: Path = Path("/sys/fs/cgroup")
) -> int | None:
    """Return the bytes that this process can use; None where the system does not report them."""
    amounts = []
    for limit, use in _LIMITS:
        try:
            amounts.append(int((groups / limit).read_text()) - int((groups / use).read_text()))
        except (OSError, ValueError):  # another version, or "max": no limit
            continue
    try:
        lines = dict(line.split(":") for line in info.read_text().splitlines())
        amounts.append(1024 * int(lines["MemAvailable"].split()[0]))
    except (OSError, ValueError, KeyError, IndexError):
        pass
    return max(min(amounts), 0) if amounts else None
