"""Runs that end while all are to stop, or that are interrupted by somebody else."""

import os
import signal

import attrs
import pytest

from mtlkit.comparison.execute.executor import Executor
from mtlkit.comparison.execute.run_many import make_runs
from mtlkit.comparison.execute.worker import Outcome
from mtlkit.errors import InterruptedRunError

KILLED = Outcome(error="the worker was killed by SIGTERM", killed=True)

SMALL = """
problems: {plane: recipe.yaml}
weightings: [gls]
seeds: 1
without: {log: speed, tuned: speed, rlw: speed, single-task: speed}
"""


@attrs.define
class OnRecord(Executor):
    """Ends runs in order with the outcomes it was given; with `signals`, after a Ctrl-C."""

    outcomes: list[Outcome]
    signals: bool = False
    slots: int = 1
    waiting: list[str] = attrs.field(factory=list)
    begun: list[str] = attrs.field(factory=list)

    def submit(self, key, job):
        self.waiting.append(key)
        self.begun.append(key)

    def ended(self, seconds):
        if not self.waiting:
            return []
        if self.signals:
            os.kill(os.getpid(), signal.SIGINT)
            self.signals = False
        return [(self.waiting.pop(0), self.outcomes.pop(0))]

    def stop(self):
        pass

    def close(self):
        pass


def test_a_worker_that_is_killed_while_all_stop_has_not_failed(bench):
    with pytest.raises(InterruptedRunError, match="stopped after 0 runs"):
        bench.run(bench.load(SMALL), executor=OnRecord([KILLED, KILLED], signals=True))
    rest = bench.worker(1)
    folder = bench.run(bench.load(SMALL), executor=rest)
    assert [record.error for record in folder.records().values()] == [None, None]
    assert len(rest.made) == 2


def test_a_killed_run_is_told_of_unless_all_stop():
    told = []
    make_runs({"a": None}, OnRecord([KILLED]), lambda key, outcome, _: told.append((key, outcome)))
    assert told == [("a", KILLED)]
    with pytest.raises(InterruptedRunError):
        make_runs({"b": None}, OnRecord([KILLED], signals=True), lambda *_: told.append("b"))
    assert told == [("a", KILLED)]


def test_a_run_that_somebody_else_interrupts_is_begun_again():
    told = []
    executor = OnRecord([Outcome(interrupted=True), Outcome(), Outcome()])
    make_runs({"a": None, "b": None}, executor, lambda key, *_: told.append(key))
    assert sorted(told) == ["a", "b"]
    assert executor.begun == ["a", "b", "a"]
