"""What the runner says: a line for each run, with how far the whole has come."""

import statistics
import sys
import time
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console

from mtlkit.comparison.results.record import Record, Stage
from mtlkit.report.numbers import duration


class ConsoleReporter:
    """Lines on stderr as runs end, each with the total and the time that is left."""

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
        self._say(f"{what}; {done} are made" if done else what)

    def on_record(self, record: Record, seconds: float) -> None:
        """Say that a run ended, after so many seconds of this session."""
        self._left.pop(record.key, None)
        self._known[record.key] = record
        self._failed += record.error is not None
        if seconds > 0:
            self._seconds[record.key] = seconds
        done = f"[{self._total - len(self._left)}/{self._total}]"
        failed = f", {self._failed} failed" if self._failed else ""
        left = f", about {duration(self.seconds_left())} left" if self._left else ""
        self._say(f"{done} {record.key}: {_came_to(record, seconds)}{failed}{left}")

    def seconds_left(self) -> float:
        """The time that the other runs will take, going by those most like them."""
        return sum(map(self._expected, self._left.values())) / self._workers

    def _expected(self, record: Record) -> float:
        made = self._known.values()
        same_problem = [other for other in made if other.problem == record.problem]
        same_method = [other for other in same_problem if other.method == record.method]
        for others in (same_method, same_problem, made):
            found = self._of(others)
            if found:
                return statistics.median(found)
        return 0.0

    def _of(self, records: Iterable[Record]) -> list[float]:
        return [self._seconds[r.key] for r in records if r.key in self._seconds]

    def _say(self, line: str) -> None:
        if self._console is not None:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def _came_to(record: Record, seconds: float) -> str:
    """The end of a run in a few words."""
    if record.error is not None:
        return f"failed: {record.error}"
    took = f"in {duration(seconds)}" if seconds > 0 else "as another run"
    if record.stage is Stage.TRIAL:
        return f"score {record.score:.4f} {took}"
    return f"done {took}"
