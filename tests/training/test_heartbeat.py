"""Processes that are lost, fail or stop are named by those that wait for them."""

import contextlib
import itertools
import os
import re
import threading
import time

import pytest
import torch
import torch.distributed as dist

from mtlkit.errors import DataError, InterruptedRunError, RunError
from mtlkit.training.devices import heartbeat
from mtlkit.training.devices.heartbeat import Heartbeat
from mtlkit.training.devices.ranks import Ranks

NAME = rf"process 1 \(pid {os.getpid()} on \S+\)"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    for name, seconds in {"BEAT": 0.02, "SILENCE_AFTER_ERROR": 0.4}.items():
        monkeypatch.setattr(heartbeat, name, seconds)


@pytest.fixture
def store():
    return dist.HashStore()


@pytest.fixture
def pair(store):
    return [Heartbeat(store, rank, 2) for rank in (0, 1)]


def failing(beats):
    """Raise in `beats` what a failed operation of the process group becomes."""
    with beats.beating(), beats.telling():
        raise RuntimeError("Connection closed by peer")


def test_a_silent_process_is_lost(pair):
    with pytest.raises(InterruptedRunError, match=NAME + " was lost: it was killed, for") as caught:
        failing(pair[0])
    assert str(caught.value.__cause__) == "Connection closed by peer"


def test_all_others_learn_which_one_is_lost(store):
    """The third process hears the first one only."""
    first, _, third = (Heartbeat(store, rank, 3) for rank in range(3))
    with third.beating():
        with pytest.raises(InterruptedRunError, match=NAME):
            failing(first)
        with pytest.raises(InterruptedRunError, match=NAME), third.explaining():
            raise RuntimeError


def test_an_error_among_processes_that_beat_is_its_own(pair):
    first, second = pair
    with second.beating(), pytest.raises(RuntimeError, match="Connection"):
        failing(first)


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (DataError("a.png: is broken"), RunError,
         "another process of this run failed: {}: DataError: a.png: is broken"),
        (KeyboardInterrupt(), InterruptedRunError, "{} was stopped"),
        (InterruptedRunError("stopped"), InterruptedRunError, "{} was stopped"),
    ],
    ids=["an error", "Ctrl-C", "a stop"],
)  # fmt: skip
def test_the_end_of_another_process_is_the_reason(pair, error, kind, words):
    with pytest.raises(type(error)), pair[1].beating(), pair[1].telling():
        raise error
    with pytest.raises(RunError, match=words.format(NAME)) as caught:
        failing(pair[0])
    assert type(caught.value) is kind


def test_other_errors_are_not_delayed(pair):
    started = time.monotonic()
    with pytest.raises(ZeroDivisionError), pair[0].beating(), pair[0].telling():
        raise ZeroDivisionError
    assert time.monotonic() - started < heartbeat.SILENCE_AFTER_ERROR


def waiting_in_vain(beats, monkeypatch, capsys):
    """The exit code of a process that waits for another one, its error and what it prints."""
    exits, recorded, ended = [], [], threading.Event()
    monkeypatch.setattr(heartbeat, "GRACE", 0.1)
    monkeypatch.setattr(heartbeat, "SILENCE", 0.4)
    beats._limit = heartbeat.SILENCE

    def exit_(code):
        exits.append(code)
        ended.set()
        raise SystemExit  # ends the thread

    monkeypatch.setattr(os, "_exit", exit_)
    beats.before_exit = recorded.append
    with beats.beating():
        assert ended.wait(30)
    return exits, recorded, capsys.readouterr().err


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_process_that_waits_in_vain_is_ended(pair, monkeypatch, capsys):
    exits, [error], printed = waiting_in_vain(pair[0], monkeypatch, capsys)
    assert exits == [75]
    assert type(error) is InterruptedRunError
    assert printed == f"mtlkit: error: {error}\n"
    assert "process 1 " in printed


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_so_is_one_whose_launcher_is_gone(pair, store, monkeypatch, capsys):
    class Gone:
        def __getattr__(self, _):
            raise dist.DistNetworkError("Connection reset by peer")

    pair[0]._store = Gone()
    exits, [error], _ = waiting_in_vain(pair[0], monkeypatch, capsys)
    assert exits == [75]
    assert str(error).startswith("the store of torchrun was lost: its process was killed, or its")


@pytest.fixture
def hanging(store):
    """Both processes, whose run ends after 0.4 seconds without progress."""
    return [Heartbeat(store, rank, 2, hang_timeout=0.4) for rank in (0, 1)]


def ended(beats, seconds=20.0):
    """Return how a process sees the end of the run after `hang_timeout` without an update."""
    until = time.monotonic() + seconds
    while beats._end is None and time.monotonic() < until:
        time.sleep(0.02)
    return beats._end


def test_processes_that_beat_without_progress_are_interrupted_and_state_where_they_are(hanging):
    first, second = hanging
    with first.beating(), second.beating(), second.joint_step():
        end, same = ended(first), ended(second)
    assert type(end) is InterruptedRunError
    assert str(same) == str(end)
    assert "no process made progress for 0.00666667 minutes: process 0 (pid " in str(end)
    for rank in (0, 1):
        where = r"ended \(training/test_heartbeat\.py:\d+\)"
        assert re.search(rf"process {rank} \(pid \d+ on \S+\) is in {where}", str(end)), end
    assert "raise `train.hang_timeout`" in str(end)


def test_the_updates_of_one_process_are_progress_of_all(hanging):
    first, second = hanging
    with first.beating(), second.beating():
        for _ in range(60):
            with second.joint_step():
                time.sleep(0.02)
        assert first._end is second._end is None


@pytest.fixture
def busy(hanging, monkeypatch):
    """Let both processes beat 60 times, each time after a second of CPU time."""
    clock = itertools.count()
    monkeypatch.setattr(time, "process_time", lambda: float(next(clock)))

    def beat(*_, **__):
        for _ in range(60):
            for beats in hanging:
                progress = beats._own_progress()
                beats._store.set(f"beats of {beats._rank}", f"0/{progress}")
                beats._listen()
                beats._watch(progress)

    return beat


@pytest.mark.parametrize("updating", [True, False])
def test_cpu_time_is_progress_between_updates_only(hanging, updating, busy):
    """The first process validates and evaluates alone, and a loop in an update may never end."""
    first, second = hanging
    context = first.joint_step() if updating else contextlib.nullcontext()
    with second.joint_step(), context:
        busy()
    assert (first._end is not None) == updating


@pytest.mark.parametrize(
    ("operation", "wait"),
    [("barrier", Ranks.wait), ("all_reduce", lambda ranks: ranks.texts("", torch.device("cpu")))],
)
def test_cpu_time_of_a_wait_for_others_is_no_progress(hanging, operation, wait, busy, monkeypatch):
    """CUDA waits in a loop, so a process may use CPU time while the first one hangs."""
    first, second = hanging
    monkeypatch.setattr(dist, operation, busy)
    monkeypatch.setattr(dist, "all_gather", lambda *_: None)
    with first.joint_step():  # without CPU time
        wait(Ranks(1, 2, second))
    assert isinstance(first._end, InterruptedRunError)
    assert second._joint is False


def test_a_process_that_has_left_without_an_error_is_not_lost(pair, monkeypatch):
    """The first process may work on alone, such as in hooks after the end of a run."""
    monkeypatch.setattr(heartbeat, "SILENCE", 0.4)
    first, second = pair
    first._limit = heartbeat.SILENCE
    with second.beating():
        pass
    for _ in range(40):
        first._listen()
    assert first._end is None


def test_silence_while_this_process_is_stopped_too_does_not_count(store, monkeypatch):
    """As when a cluster suspends a job: the beats of this process are the clock."""
    monkeypatch.setattr(heartbeat, "SILENCE", 0.4)
    first, _ = (Heartbeat(store, rank, 2) for rank in (0, 1))
    for _ in range(3):
        time.sleep(0.5)
        first._listen()
    assert first._end is None
    for _ in range(20):
        first._listen()
    assert isinstance(first._end, InterruptedRunError)
