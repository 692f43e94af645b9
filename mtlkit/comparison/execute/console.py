"""Console output of the runner: a line for each run, with the total progress."""

import statistics
import sys
import time
from collections.abc import Mapping, Sequence

from rich.console import Console

from mtlkit.comparison.results.record import Record, Stage
from mtlkit.printable import printable_line
from mtlkit.report.numbers import duration


class ConsoleReporter:
    """Print a line on stderr as each run ends, with the total and the remaining time."""

    def __init__(
        self, plan: Sequence[Record], known: Mapping[str, Record], workers: int, *, quiet: bool
    ) -> None:
        self._console = None if quiet else Console(file=sys.stderr)
        self._workers = workers
        self._left = {record.key: record for record in plan if record.key not in known}
        self._total = len(plan)
        self._failed = sum(record.error is not None for record in known.values())
        self._seconds = {r.key: r.seconds for r in known.values() if r.seconds > 0}
        self._known = dict(known)
        self._start = time.monotonic()
        what = f"{self._total} runs, {workers} at once"
        done = self._total - len(self._left)
        self._print(f"{what}; {done} are made" if done else what)

    def on_record(self, record: Record, seconds: float) -> None:
        """Print that a run ended, with its seconds since it was started or resumed."""
        self._left.pop(record.key, None)
        self._known[record.key] = record
        self._failed += record.error is not None
        if seconds > 0:
            self._seconds[record.key] = seconds
        done = f"[{self._total - len(self._left)}/{self._total}]"
        failed = f", {self._failed} failed" if self._failed else ""
        left = f", about {duration(self.seconds_left())} left" if self._left else ""
        self._print(f"{done} {record.key}: {_came_to(record, seconds)}{failed}{left}")

    def on_lost(self, key: str, reason: str) -> None:
        """Print that a run lost its worker or machine and is started again."""
        self._print(f"{key}: {reason}; starting again from its checkpoint")

    def seconds_left(self) -> float:
        """Return the estimated time of the remaining runs, by the most similar finished ones."""
        return sum(map(self._expected, self._left.values())) / self._workers

    def _expected(self, record: Record) -> float:
        known = self._known.values()
        same_problem = [other for other in known if other.problem == record.problem]
        same_method = [other for other in same_problem if other.method == record.method]
        for others in (same_method, same_problem, known):
            seconds = [self._seconds[r.key] for r in others if r.key in self._seconds]
            if seconds:
                return statistics.median(seconds)
        return 0.0

    def _print(self, line: str) -> None:
        if self._console is not None:
            self._console.print(printable_line(line), markup=False, highlight=False, soft_wrap=True)


def _came_to(record: Record, seconds: float) -> str:
    """Return a short text about the result of a run."""
    if record.error is not None:
        return f"failed: {record.error}"
    took = f"in {duration(seconds)}" if seconds > 0 else "as another run"
    if record.stage is Stage.TRIAL:
        return f"score {record.score:.4f} {took}"
    return f"done {took}"
