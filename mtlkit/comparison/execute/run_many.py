"""Several runs at once, none of which waits for the result of another."""

import time
from collections.abc import Callable, Mapping

from mtlkit.comparison.execute.executor import Executor
from mtlkit.comparison.execute.worker import Job, Outcome
from mtlkit.errors import InterruptedRunError
from mtlkit.training.signals import StopRequest, stop_on_signal

POLL = 0.5
"""Seconds between two looks at whether somebody wishes to stop."""

OnFinished = Callable[[str, Outcome, float], None]
"""OnRecord of the key of a run that ended, of its outcome, and of the seconds it took."""


def make_runs(jobs: Mapping[str, Job], executor: Executor, on_finished: OnFinished) -> None:
    """Make the runs of `jobs`, in order, as many at once as the executor has slots.

    A run that fails is told of and does not stop the others. Raises `InterruptedRunError` after
    Ctrl-C, once every worker has saved; the same jobs then go on.
    """
    waiting = list(jobs)
    begun: dict[str, float] = {}
    with stop_on_signal() as wish:
        while waiting or begun:
            if wish.wished:
                executor.stop()
                while begun:
                    _tell(begun, executor, on_finished, wish)
                raise InterruptedRunError("stopped; the same command goes on")
            while waiting and len(begun) < executor.slots:
                key = waiting.pop(0)
                begun[key] = time.monotonic()
                executor.submit(key, jobs[key])
            waiting += _tell(begun, executor, on_finished, wish)


def _tell(
    begun: dict[str, float], executor: Executor, on_finished: OnFinished, wish: StopRequest
) -> list[str]:
    """Tell of the runs that ended; the keys of those that are to go on are returned."""
    again = []
    for key, outcome in executor.ended(POLL):
        seconds = time.monotonic() - begun.pop(key)
        if outcome.unfinished(stopping=wish.wished):
            again.append(key)
        else:
            on_finished(key, outcome, seconds)
    return again
