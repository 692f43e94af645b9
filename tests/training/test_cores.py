"""Free cores, the threads that suit them, and the hint when they no longer do."""

import os
import subprocess
import sys

import pytest
import torch

from mtlkit.cli.environment import limit_spinning
from mtlkit.comparison.execute.executor_config import parse_executor_config
from mtlkit.errors import RunError
from mtlkit.training.devices import cores, load_hint
from mtlkit.training.devices.cores import CPUTimes
from mtlkit.training.devices.load_hint import INTERVAL, LASTING, LoadHint


@pytest.fixture
def four_cores(monkeypatch):
    monkeypatch.setattr(cores, "core_numbers", lambda: range(4))
    for module in (cores, load_hint):
        monkeypatch.setattr(module, "available_cores", lambda: 4)


def reading(clock, free, own=0.0):
    """The times after `clock` seconds with `free` idle cores and `own` cores of this process."""
    return CPUTimes(clock, clock * free, clock * own)


@pytest.mark.parametrize(
    ("free", "own", "busy"), [(4.0, 0.0, 0.0), (3.0, 1.0, 0.0), (1.5, 0.5, 2.0), (0.0, 0.0, 4.0)]
)
def test_cores_of_others_are_those_neither_idle_nor_ours(four_cores, free, own, busy):
    assert cores.busy_cores(reading(0, 0), reading(8, free, own)) == pytest.approx(busy)


@pytest.mark.parametrize(
    ("busy", "most", "threads"),
    [(0.0, 4, 4), (0.4, 4, 4), (0.6, 4, 3), (1.0, 4, 3), (3.0, 4, 1), (4.0, 4, 1), (0.0, 2, 2)],
)
def test_one_thread_for_each_free_core(four_cores, busy, most, threads):
    assert cores.fitting_threads(busy, most) == threads


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 4),
        ({"cpu.max": "max 100000\n"}, 4),
        ({"cpu.max": "250000 100000\n"}, 3),
        ({"cpu.max": "900000 100000\n"}, 4),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
    ],
)
def test_the_limit_of_a_container_counts(monkeypatch, tmp_path, files, expected):
    monkeypatch.setattr(cores, "core_numbers", lambda: range(4))
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert cores.available_cores(tmp_path) == expected


def test_idle_time_is_that_of_our_cores(monkeypatch, tmp_path):
    monkeypatch.setattr(cores, "core_numbers", lambda: (0, 2))
    stat = tmp_path / "stat"
    stat.write_text("cpu 9 9 9 9 9\ncpu0 1 1 1 100 20 0\ncpu1 1 1 1 5 5 0\ncpu2 1 1 1 300 1 0\n")
    assert cores.cpu_times(stat).idle == 421 / os.sysconf("SC_CLK_TCK")
    assert cores.cpu_times(tmp_path / "missing") is None


def test_a_machine_that_lists_no_times_uses_every_core(monkeypatch):
    monkeypatch.setattr(cores, "cpu_times", lambda: None)
    assert cores.free_threads(4) == 4


def test_a_busy_core_is_measured():
    """Next to a process that never sleeps, at least half a core is in use."""
    busy = subprocess.Popen([sys.executable, "-c", "print(flush=True)\nwhile True: pass"],
                            stdout=subprocess.PIPE)  # fmt: skip
    busy.stdout.readline()
    start = cores.cpu_times()
    cores.time.sleep(0.3)
    end = cores.cpu_times()
    busy.kill()
    busy.communicate()
    assert cores.busy_cores(start, end) > 0.5


def test_more_threads_than_cores_are_refused(four_cores):
    cores.refuse_too_many("auto")
    cores.refuse_too_many(4, workers=64)
    with pytest.raises(RunError, match=r"train\.workers: got 65, expected at most 64, 16 for each"):
        cores.refuse_too_many(4, workers=65)
    with pytest.raises(RunError, match="--workers: got 10000, expected at most 64"):
        parse_executor_config(10_000, "", ray=False)
    assert parse_executor_config(10_000, "", ray=True).workers == 10_000
    with pytest.raises(RunError) as caught:
        cores.refuse_too_many(10_000)
    assert str(caught.value) == (
        "train.threads: got 10000, expected at most 4, the number of CPU cores that this process "
        "may use; use `threads: auto`, or state at most 4 threads"
    )


def hints(monkeypatch, free, own, threads, *, fixed=False, measurements=2 * LASTING):
    monkeypatch.setattr(load_hint, "cpu_times", lambda: reading(0, 0))
    hint = LoadHint(threads, fixed=fixed)
    times = (reading((n + 1) * INTERVAL, free, own) for n in range(measurements))
    return [line for line in map(hint.line, times) if line is not None]


def test_a_lasting_load_gives_one_hint(four_cores, monkeypatch):
    assert hints(monkeypatch, free=0.0, own=1.5, threads=4) == [
        "hint: for 2 minutes other processes have used 2.5 of 4 cores, and this run uses 4 "
        "threads. A new run with `train.threads: auto` would now use 2 threads; this run keeps "
        "its number, which changes the last digits of results"
    ]
    assert not hints(monkeypatch, 0.0, 1.5, 4, measurements=LASTING - 1)


def test_freed_cores_give_a_hint_only_if_the_number_was_chosen(four_cores, monkeypatch):
    [line] = hints(monkeypatch, free=3.0, own=1.0, threads=1)
    assert "uses 1 thread. A new run" in line
    assert not hints(monkeypatch, free=3.0, own=1.0, threads=1, fixed=True)


def test_a_load_that_suits_gives_no_hint(four_cores, monkeypatch):
    assert not hints(monkeypatch, free=2.0, own=1.0, threads=3)


@pytest.mark.parametrize("user", [{"GOMP_SPINCOUNT": "7"}, {"OMP_WAIT_POLICY": "active"}])
def test_the_users_spin_count_is_kept(user):
    environment = dict(user)
    limit_spinning(environment)
    assert environment == user


def test_the_command_line_limits_spinning_before_torch_is_imported():
    code = (
        "import os, sys\nfrom mtlkit.cli import main\n"
        "try: main(['--version'])\n"
        "except SystemExit: print(os.environ['GOMP_SPINCOUNT'], 'torch' in sys.modules)"
    )
    env = {k: v for k, v in os.environ.items() if not k.startswith(("GOMP", "OMP"))}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "30000 False"


def test_threads_of_the_caller_are_the_upper_bound(monkeypatch):
    """`OMP_NUM_THREADS` and `torch.set_num_threads` limit what `auto` chooses."""
    monkeypatch.setattr(cores, "time", None)  # with one thread there is nothing to measure
    assert torch.get_num_threads() == 1
    assert cores.free_threads(1) == 1
