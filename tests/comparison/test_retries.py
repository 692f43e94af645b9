"""Workers that are lost: their runs are started again, and never count as failures of a method."""

import os
import signal

import attrs
import pytest

from mtlkit.comparison.execute.executor_config import ExecutorConfig
from mtlkit.comparison.execute.retries import RETRIES, Retrying
from mtlkit.comparison.execute.worker import Outcome
from mtlkit.comparison.results.record import read_results
from mtlkit.comparison.results.store import StudyFolder
from mtlkit.errors import RunError

LOST = Outcome(error="the worker was killed by SIGKILL", lost=True)

SMALL = """
problems: {plane: recipe.yaml}
weightings: [gls]
seeds: 1
without: {log: for speed, tuned: for speed, rlw: for speed, single-task: for speed}
"""

CRASHES = """
problems: {plane: recipe.yaml}
weightings:
  - {name: faulty, weighting: {type: explosive, by: SIGSEGV}}
  - {name: leaves, weighting: {type: explosive, by: EXIT}}
seeds: 1
without: {log: for speed, tuned: for speed, rlw: for speed, single-task: for speed}
"""


def test_a_study_whose_worker_and_driver_are_killed_ends_with_the_same_table(bench, observed):
    gate = bench.folder / "gate"
    comparison = bench.load(observed.LONG.replace("GATE", str(gate)))
    gate.touch()
    whole = bench.run(comparison, "whole", executor=bench.worker(1))
    gate.unlink()  # now every run waits after its second checkpoint
    study = StudyFolder(bench.folder / "study")
    driver = bench.begin(0)
    os.kill(observed.wait_until(lambda: observed.workers_in_training(study))[0], signal.SIGKILL)
    observed.wait_until(study.count_losses)
    observed.wait_until(lambda: observed.workers_in_training(study))
    driver.kill()
    driver.communicate()
    gate.touch()
    bench.run(comparison, executor_config=ExecutorConfig(workers=2))
    assert observed.tables(study) == observed.tables(whole)
    lost = study.count_losses()
    assert sum(lost.values()) == 1
    assert "killed by SIGKILL" in study.losses.read_text()
    retries = {record.key: record.retries for record in read_results(study.results)}
    assert retries == {key: lost[key] for key in retries}


def test_a_lost_run_is_started_again_so_often_and_no_more(bench):
    reasons = []
    inner = bench.on_record([LOST, LOST, Outcome(), *[LOST] * (RETRIES + 1)])
    executor = Retrying(inner, lambda *lost: reasons.append(lost))
    executor.submit("first", None)
    assert executor.ended(0) == executor.ended(0) == []
    assert executor.ended(0) == [("first", Outcome(retries=2))]
    executor.submit("second", None)
    assert [executor.ended(0) for _ in range(RETRIES)] == [[]] * RETRIES
    assert executor.ended(0) == [("second", attrs.evolve(LOST, retries=RETRIES))]
    assert inner.begun == ["first"] * 3 + ["second"] * (RETRIES + 1)
    assert reasons == [("first", LOST.error)] * 2 + [("second", LOST.error)] * RETRIES


def test_a_run_lost_too_often_is_not_recorded_and_continues_with_the_next_command(bench):
    comparison = bench.load(SMALL)
    executor = bench.on_record([*[LOST] * (2 * RETRIES + 2)])
    with pytest.raises(
        RunError,
        match=rf"study: 2 runs lost their worker or machine {RETRIES + 1} times and are not "
        "counted as failed; the first is plane/equal/epochs-seed0: the worker was killed by SIG",
    ):
        bench.run(comparison, executor=executor)
    folder = bench.run(comparison)
    assert [(record.error, record.retries) for record in folder.records().values()] == [
        (None, RETRIES)
    ] * 2


def test_a_single_run_lost_too_often_is_counted_as_one(bench):
    executor = bench.on_record([*[LOST] * (RETRIES + 1), Outcome(error="failed")])
    with pytest.raises(RunError, match=r"1 run lost its worker or machine \d times and is not"):
        bench.run(bench.load(SMALL), executor=executor)


def test_a_crash_of_its_own_code_is_a_failure_of_the_method(bench):
    folder = bench.run(bench.load(CRASHES), executor_config=ExecutorConfig(workers=2))
    failed = {record.method: record.error for record in folder.records().values()}
    assert failed["equal"] is None
    assert failed["faulty"] == "the worker was killed by SIGSEGV"
    assert failed["leaves"] == "the worker ended with the exit code 3 and sent no result"
    assert not folder.losses.exists()
