"""How fast training goes, and how much memory it takes."""

import sys
import time

import torch


class Pace:
    """Seconds and memory of training over all sittings, and samples a second since the last mark.

    `earlier` are the seconds of earlier sittings, and `earlier_peak` their most bytes in use.
    """

    def __init__(self, earlier: float = 0.0, earlier_peak: int = 0) -> None:
        self.earlier = earlier
        self.earlier_peak = earlier_peak
        self.start()

    def start(self) -> None:
        """Start the clock of this sitting."""
        self._start = self._mark = time.perf_counter()
        self._updates = self._samples = self._rate = 0.0

    def add(self, samples: int) -> None:
        """Count an update of `samples` samples."""
        self._updates += 1
        self._samples += samples

    @property
    def seconds(self) -> float:
        """The seconds of training so far."""
        return self.earlier + time.perf_counter() - self._start

    @property
    def samples_per_second(self) -> float:
        """The speed since the last mark; that before it, right after one."""
        spent = time.perf_counter() - self._mark
        return self._samples / spent if self._samples else self._rate

    def mark(self) -> None:
        """Measure the speed afresh from here."""
        self._rate = self.samples_per_second
        self._mark = time.perf_counter()
        self._samples = 0.0

    def seconds_for(self, updates: int) -> float:
        """The seconds that `updates` more updates will take, going by those of this sitting."""
        return updates * (time.perf_counter() - self._start) / max(self._updates, 1)

    def peak_memory(self, device: torch.device) -> int:
        """The most bytes in use so far, over all sittings."""
        return max(self.earlier_peak, peak_memory(device))


def peak_memory(device: torch.device) -> int:
    """The most bytes in use so far: of the GPU on CUDA, else of the process; 0 where unknown."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
