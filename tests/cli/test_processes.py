"""The command line as a module, in one process and in two."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

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
HERE = Path(__file__).parent
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
    """Start ``python -m mtlkit`` in `folder`, in two processes after ``two=True``.

    With `kills`, processes get signals as in `lost.py`.
    """
    env = {**os.environ, "MTLKIT_PLUGINS": "none", "OMP_NUM_THREADS": "1",
           "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": "20"}  # fmt: skip

    def run(*arguments, two=False, restarts=0, kills=""):
        launcher = [*TORCHRUN, f"--max-restarts={restarts}"] if two else []
        program = [str(HERE / "lost.py")] if kills else ["-m", "mtlkit"]
        return subprocess.Popen(
            [sys.executable, *launcher, *program, *arguments],
            cwd=folder, env={**env, "KILLS": kills}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
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


def test_torchrun_restarts_processes_that_are_killed_and_the_bits_are_the_same(
    start, folder, whole
):
    run = RunFolder(folder / "killed")
    process = start(
        "train", "cells.yaml", "--out", "killed", "--quiet", "--or-resume",
        two=True, restarts=3, kills="1:30:SIGKILL 0:70:SIGKILL",
    )  # fmt: skip
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err[-4000:]
    assert out == "model:  killed/model.safetensors\nreport: killed/report.html\n"
    for rank in (0, 1):
        assert re.search(rf"killed: process {rank} \(pid \d+ on \S+\) was lost: it was kill", err)
    for file in ("model", "log"):
        assert getattr(run, file).read_bytes() == getattr(whole, file).read_bytes()


def test_all_processes_stop_if_the_first_is_stopped_in_a_validation(start, folder, whole):
    process = start(
        "train",
        "cells.yaml",
        "--out",
        "validated",
        "--quiet",
        two=True,
        kills="0:validation:SIGUSR1",
    )
    _, err = process.communicate(timeout=120)
    assert len(re.findall("validated: stopped after step 3 of 180; continue with", err)) == 2
    output(start("resume", "validated", "--quiet", two=True))
    assert (folder / "validated" / "log.jsonl").read_bytes() == whole.log.read_bytes()
    assert (folder / "validated" / "model.safetensors").read_bytes() == whole.model.read_bytes()


def test_a_lost_first_process_leaves_an_interrupted_run(start, folder):
    process = start(
        "train", "cells.yaml", "--out", "lost", "--quiet", two=True, kills="0:30:SIGKILL"
    )
    _, err = process.communicate(timeout=120)
    # torchrun kills a process that does not end within 20 seconds
    assert re.search(r"exitcode +: 75 ", err), err[-4000:]
    status = RunFolder(folder / "lost").status()
    assert (status.state, status.step, status.steps) == (State.INTERRUPTED, 20, 180)
    assert status.reason.startswith("process 0 (pid ")
    listed = output(start("runs", ".", "--state", "interrupted"))
    assert re.search(r"^lost +run +interrupted +20 of 180 ", listed, re.MULTILINE)


def test_a_process_that_hangs_is_waited_for_no_longer_than_its_silence(start, folder):
    """As on a machine that is gone: its connections stay open, and operations do not return."""
    process = start(
        "train", "cells.yaml", "--out", "hung", "--quiet", two=True, kills="1:30:SIGSTOP"
    )
    _, err = process.communicate(timeout=120)
    assert re.search(r"exitcode +: 75 ", err), err[-4000:]
    assert re.search(r"^mtlkit: error: process 1 \(pid \d+ on \S+\) was lost", err, re.MULTILINE)
    status = RunFolder(folder / "hung").status()
    assert (status.state, status.step) == (State.INTERRUPTED, 20)
