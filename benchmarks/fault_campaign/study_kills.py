"""Kills, and full disks, at events of the file system of a study."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from fault_campaign.child import Child, in_child
from fault_campaign.disaster import Disaster
from fault_campaign.home import clear
from fault_campaign.verdict import Case, Verdict
from mtlkit.cli import Session
from mtlkit.cli.boundary import exit_code
from mtlkit.comparison import study
from mtlkit.comparison.execute.executor import Executor
from mtlkit.comparison.execute.executor_config import ExecutorConfig
from mtlkit.comparison.execute.worker import Job, Outcome, run_job
from mtlkit.comparison.spec.load import load_comparison
from mtlkit.data.source import Loading
from mtlkit.plugins.catalog import load_catalog


class InThisProcess(Executor):
    """Executes runs as calls, so that a kill of this process is one of a worker, too."""

    slots = 1

    def __init__(self) -> None:
        self._ended: list[tuple[str, Outcome]] = []

    def submit(self, key: str, job: Job) -> None:
        """Execute the run."""
        self._ended.append((key, run_job(job)))

    def ended(self, seconds: float) -> list[tuple[str, Outcome]]:
        """Return the runs since the last call."""
        ended, self._ended = self._ended, []
        return ended

    def stop(self) -> None:
        """Do nothing: no run is in progress between calls."""

    def close(self) -> None:
        """Do nothing."""


def run_study(home: Path) -> int:
    """Run or continue the study in this process; return the exit code of the command."""
    study.write_reports = lambda *_: None  # drawing takes most of the time and has its own tests
    catalog = load_catalog("none")

    def run() -> None:
        study.run_study(
            load_comparison(home / "comparison.yaml", catalog),
            home / "study",
            catalog=catalog,
            loading=Loading(),
            executor_config=ExecutorConfig(workers=1, factory=lambda *_: InThisProcess()),
            quiet=True,
        )

    return exit_code(run, Session())


class StudyKills:
    """The cases of a study, and the records of an undisturbed one."""

    kinds: ClassVar[tuple[str, ...]] = ("kill of a study", "full disk of a study")

    def __init__(self, home: Path) -> None:
        self.home = home
        child = self._run(-1, full=False)
        if child.code != 0:
            raise RuntimeError(child.err)
        self.events = int(child.out.split()[-1])
        self.expected = self._records()

    def cases(self, done: set[str], most: int, seed: int) -> Iterator[Case]:
        """Yield a case for each of at most `most` disasters."""
        events = [(full, number) for full in (False, True) for number in range(self.events)]
        random.Random(seed).shuffle(events)
        for full, number in events[:most]:
            kind = self.kinds[full]
            if f"{kind} {number}" not in done:
                verdict, detail = self._struck(full, number)
                yield Case(kind, str(number), verdict, detail, self.events)

    def _run(self, number: int, *, full: bool, fresh: bool = True) -> Child:
        if fresh:
            clear(self.home / "study")

        def act() -> None:
            disaster = Disaster(self.home / "study", number, full=full).install()
            code = run_study(self.home)
            print(disaster.events)
            exit(code)

        return in_child(act)

    def _records(self) -> list[str]:
        """Return the records without times, sorted."""
        lines = (self.home / "study" / "results.jsonl").read_text().splitlines()
        kept = ("method", "seed", "error", "validation", "test")
        return sorted(str([json.loads(line)[key] for key in kept]) for line in lines)

    def _struck(self, full: bool, number: int) -> tuple[Verdict, str]:
        child = self._run(number, full=full)
        if child.stuck:
            return Verdict.STUCK, "the study waits"
        if full and child.code != 0 and not child.clear:
            return Verdict.TRACEBACK, child.err[-500:]
        again = self._run(-1, full=False, fresh=False)
        if again.code != 0:
            return (Verdict.STUCK if again.clear else Verdict.TRACEBACK), again.err[-500:]
        records = self._records()
        if records == self.expected:
            return Verdict.SAME, ""
        shorter = len(records) < len(self.expected)
        return (Verdict.LOST if shorter else Verdict.WRONG), str(records)[:500]
