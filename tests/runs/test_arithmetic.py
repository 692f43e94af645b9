"""A run goes on with the arithmetic it began with, and says so where it cannot."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import attrs
import pytest
import torch

from mtlkit.checksums import sealed, unsealed
from mtlkit.errors import InterruptedRunError, RunError
from mtlkit.runs.fit import fit, resume
from mtlkit.runs.storage import provenance
from mtlkit.runs.storage.folder import RunFolder, State, read_json
from mtlkit.runs.storage.numerics import changed_arithmetic
from mtlkit.training.checkpoint import newest_checkpoint
from mtlkit.training.update import Updater

TRAIN_TESTS = Path(__file__).parents[1] / "training"
RESUME = """
import pathlib, sys
import points, torch
from mtlkit.runs import execution
from mtlkit.runs import fit as run_fit

assert torch.get_num_threads() == 1
execution.evaluate_trained = lambda *_: None  # it changes no weight
run_fit.resume(pathlib.Path(sys.argv[1]), catalog=points.catalog(), quiet=True)
assert torch.get_num_threads() == 1
"""


@pytest.fixture
def two_threads():
    """A caller who computes with two threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def start(points, tmp_path):
    def run(recipe, out):
        return fit(recipe, tmp_path / out, catalog=points.catalog(), quiet=True)

    return run


def with_threads(recipe, number):
    return attrs.evolve(recipe, train=attrs.evolve(recipe.train, threads=number))


def stop_at(monkeypatch, number):
    plain = Updater.update

    def update(self, step, stop_request):
        if step == number:
            os.kill(os.getpid(), signal.SIGINT)
        return plain(self, step, stop_request)

    monkeypatch.setattr(Updater, "update", update)


@pytest.mark.usefixtures("two_threads")
def test_a_run_goes_on_with_the_threads_it_began_with(start, points, tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "free_threads", lambda most: most)  # an idle machine
    recipe = with_threads(points.THREADED, "auto")
    whole = start(recipe, "whole")
    other = start(with_threads(recipe, 1), "other")
    assert other.model.read_bytes() != whole.model.read_bytes()  # the number does matter
    stop_at(monkeypatch, 4)
    with pytest.raises(InterruptedRunError):
        start(recipe, "run")
    env = {**os.environ, "PYTHONPATH": str(TRAIN_TESTS), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", RESUME, str(tmp_path / "run")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-4000:]
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == whole.model.read_bytes()


@pytest.mark.usefixtures("two_threads")
def test_the_caller_keeps_his_number_of_threads(start, points, tmp_path, monkeypatch):
    run = start(points.PLAIN, "run")  # with one thread
    assert read_json(RunFolder(run.path).provenance)["threads"] == 1
    assert torch.get_num_threads() == 2
    resume(run.path, catalog=points.catalog(), quiet=True)
    assert torch.get_num_threads() == 2
    stop_at(monkeypatch, 1)
    with pytest.raises(InterruptedRunError):
        start(points.PLAIN, "stopped")
    assert torch.get_num_threads() == 2


def changed_file(path, **values):
    path.write_text(sealed({**unsealed(path.read_text()), **values}))


def test_another_torch_or_device_is_said_in_one_line(start, points, capsys):
    folder = RunFolder(start(points.PLAIN, "run").path)
    stopped = attrs.evolve(folder.status(), state=State.INTERRUPTED)
    folder.write_status(stopped)
    resume(folder.path, catalog=points.catalog())
    assert "warning" not in capsys.readouterr().err
    folder.write_status(stopped)
    changed_file(folder.checkpoints / "step-00000012" / "state.json", torch="2.11.0")
    changed_file(folder.provenance, device="A GPU")
    assert newest_checkpoint(folder.checkpoints).torch == "2.11.0"
    resume(folder.path, catalog=points.catalog())
    said = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert said == [
        f"warning: torch was 2.11.0 and is {torch.__version__}, the device was A GPU and is cpu; "
        f"the result may differ in its last digits"
    ]


def test_only_what_changed_is_named(start, points, monkeypatch):
    folder = RunFolder(start(points.PLAIN, "run").path)
    known, saved = read_json(folder.provenance), newest_checkpoint(folder.checkpoints)
    cpu = torch.device("cpu")
    assert changed_arithmetic(known, saved, cpu) is None
    monkeypatch.setenv("MTLKIT_OPS", "gate=eager")
    assert changed_arithmetic(known, saved, cpu) == (
        "warning: the choice of ops was left open and is MTLKIT_OPS=gate=eager; "
        "the result may differ in its last digits"
    )
    monkeypatch.delenv("MTLKIT_OPS")
    found = changed_arithmetic(known, attrs.evolve(saved, torch="2.13.0"), cpu)
    assert "torch was 2.13.0" in found
    assert "device" not in found


def test_a_run_with_more_threads_than_cores_is_refused_before_it_begins(start, points, tmp_path):
    with pytest.raises(RunError, match=r"train.threads: got 10000, expected at most \d+, "):
        start(with_threads(points.THREADED, 10_000), "run")
    assert not (tmp_path / "run").exists()


def test_the_chosen_threads_are_recorded(start, points, tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "free_threads", lambda most: most)
    start(with_threads(points.THREADED, "auto"), "run")
    assert read_json(RunFolder(tmp_path / "run").provenance)["threads"] == 1  # of the caller
