"""A hint during training if the load of the machine no longer suits the run's threads."""

from mtlkit.training.devices.cores import (
    CPUTimes,
    available_cores,
    busy_cores,
    cpu_times,
    fitting_threads,
)

INTERVAL = 30.0
"""Seconds between two measurements of the load."""

LASTING = 4
"""Number of consecutive measurements with another load before the hint."""


class LoadHint:
    """Compare the free cores with the `threads` of a run, whose number stays as it began.

    A run that states its threads (`fixed`) gets no hint about cores that are free in addition.
    """

    def __init__(self, threads: int, *, fixed: bool) -> None:
        self.threads, self.fixed = threads, fixed
        self._last = cpu_times()
        self._different = 0
        self._given = False

    def line(self, now: CPUTimes | None = None) -> str | None:
        """Return the hint, once, if it is due at the time `now`; else None."""
        now = now or cpu_times()
        if now is None or self._last is None or self._given:
            return None
        if now.clock - self._last.clock < INTERVAL:
            return None
        busy = busy_cores(self._last, now)
        self._last = now
        cores = available_cores()
        fitting = fitting_threads(busy, cores)
        suits = fitting == self.threads or (self.fixed and fitting > self.threads)
        self._different = 0 if suits else self._different + 1
        if self._different < LASTING:
            return None
        self._given = True
        return (
            f"hint: for {LASTING * INTERVAL / 60:g} minutes other processes have used {busy:.1f} "
            f"of {cores} cores, and this run uses {_threads(self.threads)}. A new run with "
            f"`train.threads: auto` would now use {_threads(fitting)}; this run keeps its number, "
            f"which changes the last digits of results"
        )


def _threads(number: int) -> str:
    return f"{number} thread" if number == 1 else f"{number} threads"
