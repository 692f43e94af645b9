"""A run that is killed with SIGKILL and resumed ends as if it had not been."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mtlkit.runs.storage.folder import RunFolder, State

HERE = Path(__file__).parent
TRAIN_TESTS = HERE.parent / "training"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
@pytest.mark.parametrize("case", ["uncertainty", "learned"])
def test_a_run_killed_anywhere_ends_with_the_same_weights_and_logs(tmp_path, case):
    path = tmp_path / "run"
    done = subprocess.run(
        [sys.executable, str(HERE / "killed.py"), str(path), case],
        env={**os.environ, "PYTHONPATH": str(TRAIN_TESTS), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    told = json.loads(done.stdout)
    assert told["killed"] >= 3
    assert len(set(told["gone_on"])) >= 3  # it went on from several places
    killed, whole = RunFolder(path), RunFolder(tmp_path / "whole")
    assert killed.model.read_bytes() == whole.model.read_bytes()
    assert killed.log.read_bytes() == whole.log.read_bytes()
    last = sorted(whole.checkpoints.iterdir())[-1].name
    for name in ("weighting.safetensors", "optimizer.safetensors"):
        one, other = (folder.checkpoints / last / name for folder in (killed, whole))
        assert one.read_bytes() == other.read_bytes()
    assert killed.status().state is State.FINISHED
    assert not list(killed.path.rglob(".partial-*"))
