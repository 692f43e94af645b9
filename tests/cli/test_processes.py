"""The command line as a module, in one process and in two."""

import os
import signal
import subprocess
import sys
import time

import pytest
from safetensors.torch import load_file
from torch.testing import assert_close

from mtlkit.runs.storage.folder import RunFolder, State
from mtlkit.training.saved_steps import saved_steps

RECIPE = """
data: {type: table, file: cells.csv, labels: [kind, area], numeric: [area]}
backbone: {type: mlp, hidden: [8]}
tasks: {kind: {}, area: {head: regression}}
train: {epochs: 60, batch: 16, checkpoint_every: 20, threads: 1}
"""
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    cells = [f"{i % 7},{i % 5},{'ab'[i % 2]},{i % 3}" for i in range(60)]
    (folder / "cells.csv").write_text("\n".join(["width,height,kind,area", *cells]))
    (folder / "cells.yaml").write_text(RECIPE)
    return folder


@pytest.fixture(scope="module")
def start(folder):
    """Start ``python -m mtlkit`` in `folder`, in two processes after ``two=True``."""
    env = {**os.environ, "MTLKIT_PLUGINS": "none", "OMP_NUM_THREADS": "1"}

    def run(*arguments, two=False):
        return subprocess.Popen(
            [sys.executable, *(TORCHRUN if two else []), "-m", "mtlkit", *arguments],
            cwd=folder, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    return run


def output(process):
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, err[-4000:]
    return out


@pytest.fixture(scope="module")
def whole(start, folder):
    """A run of two processes that was not stopped."""
    printed = output(start("train", "cells.yaml", "--out", "two", "--quiet", two=True))
    assert printed == "model:  two/model.safetensors\nreport: two/report.html\n"  # once
    return RunFolder(folder / "two")


def test_it_runs_as_a_module(start):
    assert output(start("--version")).startswith("mtlkit, version ")
    _, err = (process := start("runs", "none")).communicate(timeout=60)
    assert process.returncode == 2
    assert err.startswith("mtlkit: error: none")


def test_two_processes_train_what_one_does(start, folder, whole):
    output(start("train", "cells.yaml", "--out", "one", "--quiet"))
    assert_close(load_file(whole.model), load_file(folder / "one" / "model.safetensors"))


def test_two_processes_resume_bit_for_bit(start, folder, whole):
    stopped = RunFolder(folder / "stopped")
    process = start("train", "cells.yaml", "--out", "stopped", "--quiet", two=True)
    deadline = time.monotonic() + 120
    while not saved_steps(stopped.checkpoints) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert "stopped: stopped after step" in err
    assert stopped.status().state is State.INTERRUPTED
    output(start("resume", "stopped", "--quiet", two=True))
    assert stopped.model.read_bytes() == whole.model.read_bytes()
