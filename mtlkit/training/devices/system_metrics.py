"""Measurements of the process and the machine while a run trains."""

import os
import sys
import time
from pathlib import Path

import torch


class SystemMetrics:
    """CPU, memory and load since the last `read`, with what the standard library and torch know."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._mark = (time.perf_counter(), time.process_time())

    def read(self) -> dict[str, float]:
        """Return the measurements by name; those that the system does not offer are left out.

        ``cpu percent`` is that of the process, 100 for one busy core.
        """
        before, self._mark = self._mark, (time.perf_counter(), time.process_time())
        wall, cpu = (now - then for now, then in zip(self._mark, before, strict=True))
        measured = {"cpu percent": 100 * cpu / wall} if wall > 0 else {}
        if sys.platform == "linux":
            pages = float(Path("/proc/self/statm").read_text().split()[1])
            measured["memory in bytes"] = pages * os.sysconf("SC_PAGE_SIZE")
        if sys.platform != "win32":
            measured["load"] = os.getloadavg()[0]
        if self.device.type == "cuda":
            free, total = torch.cuda.mem_get_info(self.device)
            measured["gpu memory in bytes"] = float(total - free)
        return measured
