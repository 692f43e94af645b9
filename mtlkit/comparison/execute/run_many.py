"""Parallel execution of independent runs."""

import time
from collections.abc import Callable, Mapping

from mtlkit.comparison.execute.executor import Executor
from mtlkit.comparison.execute.worker import Job, Outcome
from mtlkit.errors import InterruptedRunError
from mtlkit.training.signals import StopRequest, stop_on_signal

POLL = 0.5
"""Seconds between two checks for a stop request."""

OnFinished = Callable[[str, Outcome, float], None]
"""Callback with the key of a run that ended, its outcome, and its seconds."""


def make_runs(jobs: Mapping[str, Job], executor: Executor, on_finished: OnFinished) -> None:
    """Execute the runs of `jobs` in order, as many at once as the executor has slots.

    A run that fails is reported and does not stop the others. Raises `InterruptedRunError` after
    Ctrl-C, once every worker has saved; calling it with the same jobs resumes them.
    """
    waiting = list(jobs)
    begun: dict[str, float] = {}
    with stop_on_signal() as stop_request:
        while waiting or begun:
            if stop_request.requested:
                executor.stop()
                while begun:
                    _report(begun, executor, on_finished, stop_request)
                raise InterruptedRunError("stopped; the same command continues")
            while waiting and len(begun) < executor.slots:
                key = waiting.pop(0)
                begun[key] = time.monotonic()
                executor.submit(key, jobs[key])
            waiting += _report(begun, executor, on_finished, stop_request)


def _report(
    begun: dict[str, float], executor: Executor, on_finished: OnFinished, stop_request: StopRequest
) -> list[str]:
    """Report the runs that ended; return the keys of those to resume."""
    again = []
    for key, outcome in executor.ended(POLL):
        seconds = time.monotonic() - begun.pop(key)
        if outcome.unfinished(stopping=stop_request.requested):
            again.append(key)
        else:
            on_finished(key, outcome, seconds)
    return again
