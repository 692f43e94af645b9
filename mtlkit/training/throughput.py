"""Speed and memory use of training."""

import sys
import time
from pathlib import Path

import torch


class Pace:
    """Seconds and peak memory over all sessions of a run, and samples/s since the last mark.

    `earlier` is the time of earlier sessions in seconds, `earlier_peak` their peak memory in bytes.
    """

    def __init__(self, earlier: float = 0.0, earlier_peak: int = 0) -> None:
        self.earlier = earlier
        self.earlier_peak = earlier_peak
        self.start()

    def start(self) -> None:
        """Start the clock of this session."""
        self._start = self._mark = time.perf_counter()
        self._updates = self._samples = self._rate = 0.0

    def add(self, samples: int) -> None:
        """Count an update of `samples` samples."""
        self._updates += 1
        self._samples += samples

    @property
    def seconds(self) -> float:
        """Training time so far, in seconds."""
        return self.earlier + time.perf_counter() - self._start

    @property
    def samples_per_second(self) -> float:
        """Speed since the last mark; right after a mark, the speed before it."""
        elapsed = time.perf_counter() - self._mark
        return self._samples / elapsed if self._samples else self._rate

    def mark(self) -> None:
        """Restart the measurement of speed."""
        self._rate = self.samples_per_second
        self._mark = time.perf_counter()
        self._samples = 0.0

    def seconds_for(self, updates: int) -> float:
        """Estimate the seconds of `updates` more updates from those of this session."""
        return updates * (time.perf_counter() - self._start) / max(self._updates, 1)

    def peak_memory(self, device: torch.device) -> int:
        """Return the peak memory over all sessions, in bytes."""
        return max(self.earlier_peak, peak_memory(device))


def peak_memory(device: torch.device) -> int:
    """Return the peak memory in bytes: of the GPU on CUDA, else of the process; 0 if unknown."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if sys.platform == "win32":
        return 0
    if Path("/proc/self/status").exists():
        # `ru_maxrss` of a child process starts at the peak of the process that started it
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split(maxsplit=1)[0]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
