"""Classes and backbones that processes divide among them train as in one process."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mtlkit.training.checkpoint import tensors_of

HERE = Path(__file__).parent


def launched(folder, kind, world):
    """The folder in which the processes of `sharded.py` left their results."""
    path = os.pathsep.join([str(HERE), str(HERE.parent)])
    env = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "error::FutureWarning", str(HERE / "sharded.py"), kind]
    processes = [
        subprocess.Popen(
            [*command, str(folder), str(rank), str(world)],
            env=env, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(world)
    ]  # fmt: skip
    try:
        errors = [process.communicate(timeout=240)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert not any(process.returncode for process in processes), errors[0][-3000:]
    return folder


@pytest.fixture
def sharded(points):
    return importlib.import_module("sharded")


@pytest.fixture(scope="module")
def losses(tmp_path_factory):
    return launched(tmp_path_factory.mktemp("loss"), "loss", 4)


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    return launched(tmp_path_factory.mktemp("heads"), "heads", 2)


@pytest.fixture(scope="module")
def backbones(tmp_path_factory):
    return launched(tmp_path_factory.mktemp("backbones"), "backbones", 2)


def test_loss_and_gradients_equal_those_of_one_process(losses, sharded):
    """In float64, with a missing label, uneven batches and a rank without any label."""
    for name, case in sharded.loss_cases():
        one = sharded.loss_and_gradients(case)
        parts = [load_file(losses / f"{name}.{rank}") for rank in range(4)]
        for key in ("loss", "features"):
            found = torch.cat([part[key] for part in parts])
            torch.testing.assert_close(found, one[key], rtol=1e-10, atol=1e-10, msg=f"{name} {key}")
        for key in ("directions", "gradient", "running"):
            tolerance = (
                {"rtol": 1e-10, "atol": 1e-10} if key != "directions" else {"rtol": 0, "atol": 0}
            )
            torch.testing.assert_close(parts[0][key], one[key], **tolerance, msg=f"{name} {key}")
        assert parts[0]["gradient"].abs().sum() > 0


def test_one_sharded_process_is_the_plain_head(sharded):
    for name, (options, batch) in sharded.loss_cases():
        if options.get("sample", 1) == 1:
            one = sharded.loss_and_gradients((options, batch))
            plain = sharded.loss_and_gradients(({**options, "shard": False}, batch), one)
            for key in ("loss", "features", "gradient", "running"):
                torch.testing.assert_close(one[key], plain[key], rtol=1e-10, atol=1e-10, msg=name)


def test_every_weighting_trains_as_one_process_does(heads, sharded):
    for name, recipe in sharded.head_cases():
        if name == "bf16":
            continue
        _require_equal(heads, name, sharded.trained(recipe, None))


def test_bf16_trains_as_near_to_one_process_as_ddp_does(heads, sharded):
    recipe = dict(sharded.head_cases())["bf16"]
    one = tensors_of(sharded.trained(recipe, None).inner)
    found = load_file(heads / "bf16.0")
    assert all(
        (found[key].float() - value.float()).abs().max() < 2e-3
        for key, value in one.items()
        if value.numel()
    )


def test_a_divided_backbone_trains_as_ddp_does(backbones, sharded):
    names = []
    for name, recipe in sharded.backbone_cases():
        names.append(name)
        if name != "bf16":
            _require_equal(
                backbones, name, sharded.trained(sharded.with_train(recipe, shard="none"), None)
            )
    assert {"famo", "pcgrad", "mgda", "torchjd-upgrad"} <= set(names)
    assert "mgda-at-parameters" not in names


def _require_equal(folder, name, made):
    first, second = (load_file(folder / f"{name}.{rank}") for rank in (0, 1))
    for key, value in tensors_of(made.inner).items():
        scale = max(1.0, value.abs().max().item()) if value.numel() else 1.0
        difference = (first[key] - value).abs().max().item() if value.numel() else 0.0
        assert difference <= 1e-5 * scale, (name, key, difference)
        if key in second and second[key].shape == first[key].shape:
            assert first[key].equal(second[key]), (name, key)  # replicas never differ


def test_rows_that_were_not_drawn_rest_to_the_bit(sharded):
    """Weight decay and momentum move only the rows that a lazy update has drawn."""
    recipe = dict(sharded.head_cases())["lazy"]
    made = sharded.trained(recipe, None, steps=2)
    head = made.inner.model.head("who")
    before = head.directions.detach().clone()
    momentum = made.optimizer.state[head.directions]["momentum_buffer"].clone()
    made.update(2)
    moved = (head.directions != before).any(dim=1)
    assert 0 < moved.sum() < len(before) / 2
    after = made.optimizer.state[head.directions]["momentum_buffer"]
    assert after[~moved].equal(momentum[~moved])
    assert not after[moved].equal(momentum[moved])


def test_a_rehearsal_draws_the_rows_that_the_pass_draws(sharded, monkeypatch):
    from mtlkit.ops.row_shard import RowShard

    drawn = []
    draw = RowShard.draw
    monkeypatch.setattr(RowShard, "draw", lambda *a: drawn.append(draw(*a)) or drawn[-1])
    recipe = dict(sharded.head_cases())["sampled-pcgrad"]
    sharded.trained(sharded.with_train(recipe, accumulate=2), None, steps=2)
    rehearsed, passed = drawn[0:2] + drawn[4:6], drawn[2:4] + drawn[6:8]
    assert len(drawn) == 8
    assert all(one.equal(other) for one, other in zip(rehearsed, passed, strict=True))
    assert not drawn[0].equal(drawn[1])
    assert not drawn[0].equal(drawn[4])
