"""Workers of this machine: what is killed, and what comes of it."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from pathlib import Path
from unittest.mock import Mock

import attrs
import pytest

from mtlkit.comparison.execute.executor import LocalProcesses
from mtlkit.comparison.execute.executor_config import ExecutorConfig, parse_executor_config
from mtlkit.comparison.execute.worker import Job, run_job
from mtlkit.comparison.results.record import read_results
from mtlkit.comparison.spec.resources import Resources
from mtlkit.errors import InterruptedRunError, MissingExtraError, RunError
from mtlkit.runs.storage.lock import lock_folder

FILE = """
problems: {plane: recipe.yaml}
weightings:
  - {name: raises, weighting: {type: explosive}}
  - {name: killed, weighting: {type: explosive, by: SIGKILL, once: MARK}}
seeds: [3]
tuning: {trials: 2, search: {optimizer.lr: {low: 0.01, high: 0.2, log: true}}}
without: {log: for speed, tuned: for speed, rlw: for speed, single-task: for speed}
"""


def values(record):
    return record.settings, record.score, record.validation, record.test


def test_a_study_that_is_killed_goes_on_and_loses_nothing(bench, made):
    comparison = bench.load(FILE.replace("MARK", str(bench.folder / "mark")))
    process = bench.begin(1)
    process.kill()
    process.communicate()
    written = read_results(bench.folder / "study" / "results.jsonl")
    assert written
    finished = {
        record.folder: (bench.folder / "study" / record.folder / "status.json").stat().st_mtime_ns
        for record in written
        if record.error is None
    }
    folder = bench.run(comparison, executor_config=ExecutorConfig(workers=2))
    found = {record.key: record for record in read_results(folder.results)}
    assert len(found) == len(folder.results.read_text().splitlines()) == 3 * 3
    for name, changed in finished.items():  # nothing is made twice
        assert (folder.path / name / "status.json").stat().st_mtime_ns == changed
    for record in read_results(made[0].results):  # nor otherwise than by one worker, undisturbed
        if record.method == "equal":
            assert values(found[record.key]) == values(record)
    assert found["plane/raises/trial0"].error == "RuntimeError: it exploded"
    assert found["plane/raises/epochs-seed3"].error == "no trial came to its end"
    lost = {key: record.retries for key, record in found.items() if record.retries}
    assert lost == {"plane/killed/trial0": 1}
    assert "the worker was killed by SIGKILL, as the system does when memory" in (
        folder.losses.read_text()
    )
    assert all(record.peak_memory_bytes > 0 for record in found.values() if not record.error)


def test_control_c_stops_all_workers_and_says_how_to_go_on(bench, capsys):
    results = bench.folder / "study" / "results.jsonl"

    def stop():
        while not results.exists() or not results.read_bytes():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=stop).start()
    with pytest.raises(InterruptedRunError, match="runs; the same command continues"):
        bench.run(bench.load(), executor_config=ExecutorConfig(workers=2), quiet=False)
    assert multiprocessing.active_children() == []
    assert 1 <= len(read_results(results)) < 12
    assert "12 runs, 2 at once" in capsys.readouterr().err


@pytest.mark.parametrize("error", [EOFError("unexpected EOF"), ConnectionResetError(104, "reset")])
def test_a_killed_server_of_workers_is_started_anew(error):
    started = []

    class Process(Mock):
        def start(self):
            started.append(self)
            if len(started) in (1, 3, 4):
                raise error

    executor = LocalProcesses(2)
    executor._context = Mock(Pipe=multiprocessing.Pipe, Process=lambda **_: Process())
    job = Job(recipe=None, path=Path("run"), catalog=None, loading=None)
    executor.submit("one", job)
    assert executor._workers[0].process is started[1]
    with pytest.raises(
        RunError, match=r"^two: no worker could be started \(.*\); free some memory"
    ):
        executor.submit("two", job)


@pytest.mark.parametrize(
    ("devices", "message"),
    [
        ("gpu", "--devices: 'gpu' is not a device; expected cpu, or cuda:0,cuda:1"),
        ("cpu,cuda:0", "--devices: cpu,cuda:0 are of two kinds"),
    ],
)
def test_devices_that_are_none_are_refused(devices, message):
    with pytest.raises(RunError, match=message):
        parse_executor_config(1, devices, ray=False)


def test_cores_are_shared_out(monkeypatch):
    monkeypatch.setattr("mtlkit.comparison.execute.executor_config.available_cores", lambda: 8)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    assert (ExecutorConfig().slots, ExecutorConfig().threads) == (8, 1)
    assert (ExecutorConfig(workers=3).threads, ExecutorConfig(workers=20).threads) == (2, 1)
    two = parse_executor_config(None, "cuda:0,cuda:1", ray=False)
    assert (two.slots, two.threads, two.device_type) == (2, 4, "cuda")


def test_a_gpu_is_not_shared_unless_asked(monkeypatch):
    monkeypatch.setattr("mtlkit.comparison.execute.executor_config.available_cores", lambda: 8)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert (ExecutorConfig().slots, ExecutorConfig().threads) == (2, 4)
    assert ExecutorConfig(workers=4).slots == 4
    assert parse_executor_config(None, "cpu", ray=False).slots == 1


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mtlkit\[ray\]'"):
        parse_executor_config(2, "", ray=True).executor()


@pytest.mark.parametrize(
    ("resources", "gpus", "slots", "threads"),
    [
        ({"cpus": 2}, 0, 8, 2),
        ({"cpus": 0.5}, 0, 32, 1),
        ({"memory": "3 GiB"}, 0, 3, 5),
        ({"cpus": 4, "memory": "4 GiB"}, 0, 2, 4),
        ({"gpus": 0.5}, 2, 4, 4),
        ({"gpus": 0.5, "cpus": 8}, 2, 2, 8),
    ],
)
def test_as_many_runs_start_as_their_resources_allow(monkeypatch, resources, gpus, slots, threads):
    module = "mtlkit.comparison.execute.executor_config"
    monkeypatch.setattr(f"{module}.available_cores", lambda: 16)
    monkeypatch.setattr(f"{module}.available_memory", lambda: 10 * 2**30)
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    config = ExecutorConfig(resources=Resources(**resources))
    assert (config.slots, config.threads) == (slots, threads)
    assert ExecutorConfig(workers=5, resources=Resources(**resources)).slots == 5


@pytest.mark.parametrize(("resources", "slots"), [({"cpus": 2}, 4), ({"gpus": 0.5}, 1), ({}, 1)])
def test_resources_on_the_cpu_are_not_those_of_a_gpu(monkeypatch, resources, slots):
    module = "mtlkit.comparison.execute.executor_config"
    monkeypatch.setattr(f"{module}.available_cores", lambda: 8)
    config = parse_executor_config(None, "cpu", ray=False)
    assert attrs.evolve(config, resources=Resources(**resources)).slots == slots


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ({"cpus": 17}, "resources: got 17 cpus for a run, expected at most 16, which this mach"),
        (
            {"memory": "11 GiB"},
            "resources: got 11 GiB of memory for a run, expected at most 10",
        ),
    ],
)
def test_a_run_that_does_not_fit_on_this_machine_is_refused(monkeypatch, resources, message):
    module = "mtlkit.comparison.execute.executor_config"
    monkeypatch.setattr(f"{module}.available_cores", lambda: 16)
    monkeypatch.setattr(f"{module}.available_memory", lambda: 10 * 2**30)
    with pytest.raises(RunError, match=message):
        ExecutorConfig(resources=Resources(**resources)).executor()


def test_a_worker_without_the_folder_of_the_study_is_lost_and_not_failed(tmp_path):
    job = Job(
        recipe=None, path=tmp_path, catalog=None, loading=None, shared=tmp_path / "study.json"
    )
    outcome = run_job(job)
    assert outcome.lost
    assert outcome.error.endswith("study.json; mount the study's folder there under the same path")


def test_a_run_in_which_a_lost_worker_still_works_is_lost_and_not_failed(tmp_path, monkeypatch):
    monkeypatch.setattr("mtlkit.comparison.execute.worker.PATIENCE", 0.1)
    with lock_folder(tmp_path, "run"):
        outcome = run_job(Job(recipe=None, path=tmp_path, catalog=None, loading=None))
    assert outcome.lost
    assert "another process is working on this run" in outcome.error
