"""The scripts of docs/how-to/preemption.md resume a run that is stopped."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mtlkit.runs.storage.folder import RunFolder, State

PAGE = (Path(__file__).parents[2] / "docs/how-to/preemption.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SCRIPTS = {
    re.search(r"^# (\S+)$", text, re.MULTILINE)[1]: text for kind, text in BLOCKS if kind == "bash"
}

PATCH = """
import os
import signal
import sys
from pathlib import Path

if "train" in sys.orig_argv and "--nproc-per-node" not in sys.orig_argv:  # not in torchrun itself
    from mtlkit.training.update import Updater

    plain, rank = Updater.update, os.environ.get("RANK")

    def update(self, step, *rest):
        for number, at in ((signal.SIGTERM, 30), (signal.SIGUSR1, 50)):
            mark = Path(f"sent-{at}")
            if step == at and rank in (None, "0") and not mark.exists():
                mark.touch()
                os.kill(os.getpid() if rank is None else os.getppid(), number)
        return plain(self, step, *rest)

    Updater.update = update
"""
"""Signals at two updates, each once, to the run or to its torchrun."""

WAIT = """
import sys
import time
from pathlib import Path

if "train" in sys.orig_argv:
    from mtlkit.training.update import Updater

    plain = Updater.update

    def update(self, step, *rest):
        while step == 30 and not Path("signaled").exists():
            time.sleep(0.01)
        return plain(self, step, *rest)

    Updater.update = update
"""
"""Wait in an update until the script has sent its signal, however fast the machine is."""

STUBS = {
    "srun": 'exec "$@"',
    "scontrol": 'echo "$@" >> queue',
    "curl": 'echo "$@" > asked; ls runs/points/checkpoints/step-* > listed 2>/dev/null && '
            "[ ! -e taken ] && touch taken",  # once the run has begun
    "sleep": f"[ ! -e taken ] || touch signaled; exec {shutil.which('sleep')} 0.05",  # after kill
}  # fmt: skip
"""Commands that stand for those of SLURM and of a cloud."""


def run(folder, script):
    env = {
        **os.environ,
        "PATH": f"{folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(folder),
        "MTLKIT_PLUGINS": "none",
        "OMP_NUM_THREADS": "1",
        "SLURM_JOB_ID": "42",
    }
    return subprocess.run(
        ["bash", script], cwd=folder, env=env, capture_output=True, text=True, timeout=240
    )


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the files of the page, in which each signal is sent once."""
    monkeypatch.chdir(tmp_path)
    [table, *_] = [text for kind, text in BLOCKS if kind == "python"]
    exec(compile(table, "docs/how-to/preemption.md", "exec"), {})
    [recipe] = [text for kind, text in BLOCKS if kind == "yaml"]
    (tmp_path / "points.yaml").write_text(recipe)
    (tmp_path / "sitecustomize.py").write_text(PATCH)
    (tmp_path / "bin").mkdir()
    for name, text in STUBS.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    for name, text in SCRIPTS.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture(scope="module")
def same_model():
    """Raise unless the run in a folder is finished, with the model of the folders before."""
    models = []

    def check(folder):
        finished = RunFolder(folder / "runs" / "points")
        assert finished.status().state is State.FINISHED
        models.append(finished.model.read_bytes())
        assert models[-1] == models[0]

    return check


def test_every_script_is_run():
    assert set(SCRIPTS) == {"repeat.sh", "points.sbatch", "gpus.sbatch", "spot.sh"}


def test_a_loop_repeats_the_command(folder, same_model):
    done = run(folder, "repeat.sh")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("interrupted, resuming") == 2
    assert "stopped after step 31 of" in done.stderr
    assert "stopped after step 51 of" in done.stderr
    same_model(folder)


def test_a_loop_ends_after_an_error(folder):
    (folder / "points.csv").unlink()
    done = run(folder, "repeat.sh")
    assert done.returncode == 2
    assert "interrupted" not in done.stdout


def test_a_job_is_put_back_into_the_queue(folder, same_model):
    for code in (75, 75, 0):
        assert run(folder, "points.sbatch").returncode == code
    assert (folder / "queue").read_text() == "requeue 42\n" * 2
    same_model(folder)


def test_a_taken_instance_saves_a_checkpoint(folder, same_model):
    (folder / "sitecustomize.py").write_text(WAIT)
    assert run(folder, "spot.sh").returncode == 75
    assert (folder / "taken").exists()
    assert "169.254.169.254" in (folder / "asked").read_text()
    assert run(folder, "spot.sh").returncode == 0
    same_model(folder)


def test_a_job_of_several_processes_is_put_back_too(folder):
    """SIGUSR1 to torchrun, which forwards it and ends with 1."""
    for code in (1, 1, 0):
        done = run(folder, "gpus.sbatch")
        assert done.returncode == code, done.stderr[-4000:]
        assert ("interrupted" in done.stdout) == (code == 1)
    assert (folder / "queue").read_text() == "requeue 42\n" * 2
    assert RunFolder(folder / "runs" / "points").status().state is State.FINISHED
