"""Runs that end while all are to stop, or that are interrupted by somebody else."""

import pytest

from mtlkit.comparison.execute.run_many import make_runs
from mtlkit.comparison.execute.worker import Outcome
from mtlkit.errors import InterruptedRunError

KILLED = Outcome(error="the worker was killed by SIGTERM", lost=True)

SMALL = """
problems: {plane: recipe.yaml}
weightings: [gls]
seeds: 1
without: {log: speed, tuned: speed, rlw: speed, single-task: speed}
"""


def test_a_worker_that_is_killed_while_all_stop_has_not_failed(bench):
    with pytest.raises(InterruptedRunError, match="stopped after 0 runs"):
        bench.run(bench.load(SMALL), executor=bench.on_record([KILLED, KILLED], signals=True))
    rest = bench.worker(1)
    folder = bench.run(bench.load(SMALL), executor=rest)
    assert [record.error for record in folder.records().values()] == [None, None]
    assert len(rest.made) == 2


def test_a_killed_run_is_told_of_unless_all_stop(bench):
    told = []
    make_runs(
        {"a": None}, bench.on_record([KILLED]), lambda key, outcome, _: told.append((key, outcome))
    )
    assert told == [("a", KILLED)]
    with pytest.raises(InterruptedRunError):
        make_runs({"b": None}, bench.on_record([KILLED], signals=True), lambda *_: told.append("b"))
    assert told == [("a", KILLED)]


def test_a_run_that_somebody_else_interrupts_is_begun_again(bench):
    told = []
    executor = bench.on_record([Outcome(interrupted=True), Outcome(), Outcome()])
    make_runs({"a": None, "b": None}, executor, lambda key, *_: told.append(key))
    assert sorted(told) == ["a", "b"]
    assert executor.begun == ["a", "b", "a"]
