"""A run that changes between one and two processes within an epoch reads the same samples."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

SCRIPT = Path(__file__).parent / "other_ranks.py"
spec = importlib.util.spec_from_file_location("other_ranks", SCRIPT)
other_ranks = importlib.util.module_from_spec(spec)
spec.loader.exec_module(other_ranks)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder in which the processes of `other_ranks.py` left their runs."""
    folder = tmp_path_factory.mktemp("other-ranks")
    for number in range(3):
        numbers = range(number * 19, number * 19 + 19)
        other_ranks.write_tar(folder / f"many-{number}.tar", numbers)
        other_ranks.write_parquet(folder / f"many-{number}.parquet", numbers)
    other_ranks.write_tar(folder / "few-0.tar", range(100, 109))
    for name, data in other_ranks.CASES.items():
        (folder / name).mkdir()
        lines = "\n  ".join(data.strip().splitlines())
        (folder / f"{name}.yaml").write_text(f"data:\n  {lines}\n{other_ranks.RECIPE}")
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), str(folder), str(rank)],
            env=env, stderr=subprocess.PIPE, text=True,
        )
        for rank in (0, 1)
    ]  # fmt: skip
    try:
        errors = [process.communicate(timeout=240)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert not any(process.returncode for process in processes), errors[0][-3000:] + errors[1]
    return folder


@pytest.mark.parametrize("case", other_ranks.CASES)
def test_every_micro_batch_has_the_samples_of_an_uninterrupted_run(trained, case):
    straight = json.loads((trained / case / "straight.json").read_text())
    first, second = (
        json.loads((trained / case / f"changed.{rank}.json").read_text()) for rank in (0, 1)
    )
    start, stop = other_ranks.STOPS
    assert len(second) == stop - start
    for update, part in zip(first[start:stop], second, strict=True):
        for micro_batch, more in zip(update, part, strict=True):
            assert micro_batch
            assert more
            micro_batch += more
    assert first == straight
    samples = {sample for update in straight for part in update for sample in part}
    assert len(samples) > 80  # of 43 or 50, which each epoch transforms otherwise
    assert all(len(update) == 2 for update in straight)


@pytest.mark.parametrize("case", other_ranks.CASES)
def test_the_result_is_that_of_an_uninterrupted_run_up_to_rounding(trained, case):
    models = [trained / case / run / "model.safetensors" for run in ("straight", "changed")]
    torch.testing.assert_close(*map(load_file, models), rtol=1e-5, atol=1e-5)
    provenance = json.loads((trained / case / "changed" / "provenance.json").read_text())
    assert [entry["kind"] for entry in provenance["accepted"]] == ["ranks", "ranks"]
