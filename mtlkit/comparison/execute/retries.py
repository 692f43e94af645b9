"""Retries of runs whose worker or machine is lost, each from the checkpoint of the run."""

from collections import Counter
from collections.abc import Callable

import attrs

from mtlkit.comparison.execute.executor import Executor
from mtlkit.comparison.execute.worker import Job, Outcome

RETRIES = 3
"""Number of times that one command restarts a lost run."""

OnLost = Callable[[str, str], None]
"""Callback with the key of a run that was lost and is started again, and the reason."""


class Retrying(Executor):
    """Start runs that `inner` loses again, up to `RETRIES` times; then their outcome is lost."""

    def __init__(self, inner: Executor, on_lost: OnLost) -> None:
        self._inner, self._on_lost = inner, on_lost
        self._jobs: dict[str, Job] = {}
        self._losses: Counter[str] = Counter()
        self._stopping = False

    @property
    def slots(self) -> int:  # type: ignore[override]  # that of a cluster may change
        return self._inner.slots

    def submit(self, key: str, job: Job) -> None:
        self._jobs[key] = job
        self._inner.submit(key, job)

    def ended(self, seconds: float) -> list[tuple[str, Outcome]]:
        return [
            (key, attrs.evolve(outcome, retries=self._losses[key]))
            for key, outcome in self._inner.ended(seconds)
            if not self._again(key, outcome)
        ]

    def _again(self, key: str, outcome: Outcome) -> bool:
        """Start a lost run again, and return True, unless it was lost too often."""
        job = self._jobs.pop(key)
        if not outcome.lost or self._stopping or self._losses[key] == RETRIES:
            return False
        self._losses[key] += 1
        self._on_lost(key, outcome.error or "")
        self.submit(key, job)
        return True

    def stop(self) -> None:
        self._stopping = True
        self._inner.stop()

    def close(self) -> None:
        self._inner.close()
