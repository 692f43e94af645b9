"""Two processes under torchrun do what one does with the joined batch."""

import ast
import importlib
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mtlkit.training.checkpoint import tensors_of
from mtlkit.training.devices import ranks as ranks_module
from mtlkit.training.devices.device import chosen_device
from mtlkit.training.devices.ranks import Ranks, process_group

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder in which two processes left their weights."""
    folder = tmp_path_factory.mktemp("ranks")
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        str(HERE / "two_ranks.py"), str(folder),
    ]  # fmt: skip
    path = os.pathsep.join([str(HERE), str(HERE.parent)])
    env = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


@pytest.fixture
def two_ranks(points):
    return importlib.import_module("two_ranks")


def test_every_weighting_trains_as_one_process_does(trained, two_ranks):
    for name, recipe in two_ranks.cases():
        if name.startswith(("bf16", "fp16")):
            continue  # parts round otherwise than the whole; ranks must agree all the same
        made, logged = two_ranks.train(name, recipe)
        expected = tensors_of(made.inner)
        for rank in (0, 1):
            found = load_file(trained / f"{name}.{rank}.safetensors")
            assert set(found) == set(expected)
            for key, value in expected.items():
                torch.testing.assert_close(found[key], value)
            means = ast.literal_eval((trained / f"{name}.{rank}.means").read_text())
            for one, other in zip(means, logged, strict=True):
                assert one == pytest.approx(other, rel=1e-3, abs=1e-5), name


def test_a_loop_in_ddp_trains_as_in_one_process(trained, points):
    loops = importlib.import_module("loops")
    for name, recipe in loops.cases_of_ranks():
        expected = loops.trained(recipe)
        found = [load_file(trained / f"{name}.{rank}.safetensors") for rank in (0, 1)]
        assert set(found[0]) == set(found[1]) == set(expected)
        for key, value in expected.items():
            assert found[0][key].equal(found[1][key]), (name, key)
            torch.testing.assert_close(found[0][key], value, msg=f"{name}: {key}")


def test_ranks_stay_the_same_to_the_bit(trained, two_ranks):
    for name, _ in two_ranks.cases():
        first, second = (load_file(trained / f"{name}.{rank}.safetensors") for rank in (0, 1))
        assert all(first[key].equal(second[key]) for key in first)


def test_the_cases_cover_a_rank_without_labels(trained):
    assert float((trained / "lonely.0").read_text()) > 0


def test_every_rank_stops_where_one_loss_is_not_finite(trained):
    said = [(trained / f"failures.{rank}").read_text().split("|") for rank in (0, 1)]
    assert said[0][0].split(":")[0] == said[1][0].split(":")[0]  # the same step
    assert sorted(text[0].split(":")[1] for text in said) == ["", "point0"]


def test_a_parameter_ddp_would_wait_for_is_named(trained):
    for rank in (0, 1):
        said = (trained / f"failures.{rank}").read_text()
        assert "no loss reaches these parameters" in said
        assert "model.idle" in said


def test_a_process_alone_needs_no_group():
    with process_group(torch.device("cpu")) as ranks:
        assert ranks == Ranks(0, 1)
        ranks.wait()
        assert ranks.sum(torch.tensor([2.0])).item() == 2.0


@pytest.mark.parametrize("name", ["cpu", "cuda"])
def test_a_group_waits_long_and_knows_the_device_of_its_process(monkeypatch, name):
    device = torch.device(name, 1) if name == "cuda" else torch.device(name)
    found, chosen = [], []
    dist = torch.distributed
    monkeypatch.setattr(dist, "is_torchelastic_launched", lambda: True)
    monkeypatch.setattr(dist, "init_process_group", lambda *a, **k: found.append((*a, k)))
    monkeypatch.setattr(dist, "destroy_process_group", lambda: None)
    store = dist.HashStore()
    store.set("mtlkit/heartbeat 1/beats of 0", "0")  # the first beat of the other process
    monkeypatch.setattr(ranks_module, "_torchrun_store", lambda: (store, 1, 2))
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    with process_group(device) as ranks:
        assert ranks == Ranks(1, 2)
    gpu = device if name == "cuda" else None
    backend = "nccl" if name == "cuda" else "gloo"
    [(first, options)] = found
    assert first == backend
    assert isinstance(options.pop("store"), dist.PrefixStore)
    assert options == {
        "timeout": timedelta(hours=2), "device_id": gpu, "rank": 1, "world_size": 2
    }  # fmt: skip
    assert chosen == ([device] if name == "cuda" else [])


def test_auto_is_the_cpu_where_there_is_no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert chosen_device("auto") == torch.device("cpu")


def test_a_missing_gpu_is_an_error_and_no_fall_back(monkeypatch):
    from mtlkit.errors import RunError

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RunError, match=r"train\.device: got 'cuda', but torch finds no CUDA"):
        chosen_device("cuda")
