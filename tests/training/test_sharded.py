"""Classes and backbones that processes divide among them train as in one process."""

import importlib
import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mtlkit import evaluate
from mtlkit.runs import Run
from mtlkit.training.checkpoint import newest_checkpoint, tensors_of

HERE = Path(__file__).parent
MODEL = "model.safetensors"


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
def runs(tmp_path_factory):
    return launched(tmp_path_factory.mktemp("runs"), "runs", 2)


@pytest.fixture(scope="module")
def backbones(tmp_path_factory):
    return launched(tmp_path_factory.mktemp("backbones"), "backbones", 2)


def test_loss_and_gradients_equal_those_of_one_process(losses, sharded):
    """In float64, with a missing label, uneven batches and a rank without any label."""
    for name, case in sharded.loss_cases():
        one = sharded.loss_and_gradients(case)
        parts = [load_file(losses / f"{name}.{rank}") for rank in range(4)]
        for key in ("loss", "features"):
            result = torch.cat([part[key] for part in parts])
            torch.testing.assert_close(
                result, one[key], rtol=1e-10, atol=1e-10, msg=f"{name} {key}"
            )
        for key in ("directions", "gradient", "running"):
            tolerance = (
                {"rtol": 1e-10, "atol": 1e-10} if key != "directions" else {"rtol": 0, "atol": 0}
            )
            torch.testing.assert_close(parts[0][key], one[key], **tolerance, msg=f"{name} {key}")
        assert parts[0]["gradient"].abs().sum() > 0


def test_a_loss_takes_two_collective_operations_and_its_gradient_two(losses):
    """A batch with more samples of a process than any before takes one more."""
    steady = "all_gather all_to_all_single backward all_gather all_to_all_single end"
    for rank in range(4):
        assert (losses / f"operations.{rank}").read_text() == " ".join(
            [f"all_gather {steady}", steady, steady, f"all_gather {steady}"]
        )


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
        one = tensors_of(sharded.trained(recipe, None).inner)
        _require_equal(heads, name, one, 1e-6)


def test_bf16_trains_near_to_one_process(heads, sharded):
    one = tensors_of(sharded.trained(dict(sharded.head_cases())["bf16"], None).inner)
    _require_equal(heads, "bf16", one, 2e-3)


def test_a_divided_backbone_trains_as_ddp_does(backbones, sharded):
    names = []
    for name, recipe in sharded.backbone_cases():
        names.append(name)
        if (backbones / f"{name}-ddp.0").exists():
            expected = load_file(backbones / f"{name}-ddp.0")
        else:
            alone = sharded.with_train(recipe, shard="none", compile=False)
            expected = tensors_of(sharded.trained(alone, None).inner)
        tolerance = 1e-3 if name == "bf16" else 1e-6
        _require_equal(backbones, name, expected, tolerance)
    assert {"famo", "pcgrad", "mgda", "torchjd-upgrad", "casia", "compiled"} <= set(names)
    assert "mgda-at-parameters" not in names


@pytest.mark.parametrize("name", ["head", "backbone", "both"])
def test_an_interrupted_run_of_two_processes_ends_as_a_straight_one(runs, sharded, name):
    """With evaluation, checkpoints, averages of weights and the state of a lazy optimizer."""
    straight, resumed = (load_file(runs / name / kind / MODEL) for kind in ("straight", "resumed"))
    assert set(straight) == set(resumed)
    assert all(straight[key].equal(resumed[key]) for key in straight)
    assert (runs / name / "straight" / "evaluation.json").exists()
    if name != "backbone":
        assert len(straight["heads.who_head.directions"]) == sharded.CLASSES


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """Runs of one process, then two, four and again one, for two updates each."""
    with pytest.MonkeyPatch.context() as patch:
        for folder in (HERE.parent, HERE):
            patch.syspath_prepend(str(folder))
        module = importlib.import_module("sharded")
        root = tmp_path_factory.mktemp("chain")
        for name, recipe in module.run_cases():
            longer = module.with_train(recipe, steps=8)
            module.until(root / "1" / name, longer, 2)
            module.run_fit.fit(
                longer, root / "straight" / name, catalog=module.catalog(), quiet=True
            )
        folder = root / "1"
        for world, stop in ((2, 4), (4, 6)):
            folder = folder / str(world)
            folder.mkdir()
            launched(folder, f"until-{stop}", world)
        for name, _ in module.run_cases():
            shutil.copytree(folder / name, folder / "1" / name)
            module.rewritten(folder / "1" / name)
            shutil.copytree(folder / "1" / name, folder / "1" / f"{name}-rewritten")
            module.until(folder / "1" / name, None, None)
    return root


CHAIN = ("1", "1/2", "1/2/4", "1/2/4/1")


def newest(folder):
    """The tensors of the newest checkpoint in the folder of a run."""
    parts = newest_checkpoint(folder / "checkpoints").parts()
    return {
        f"{part}.{key}": value for part, stored in parts.items() for key, value in stored.items()
    }


@pytest.mark.parametrize("name", ["head", "backbone", "both"])
def test_other_processes_load_every_row_to_the_bit(chain, name):
    for before, after in itertools.pairwise(CHAIN):
        expected = newest(chain / before / name)
        files = {path.name for path in (chain / after).glob(f"{name}-rewritten/checkpoints/*/*")}
        world = int(after.rpartition("/")[2])
        assert (f"model.process-{world - 1}-of-{world}.safetensors" in files) == (world > 1)
        result = newest(chain / after / f"{name}-rewritten")
        assert set(result) == set(expected)
        for key, value in expected.items():
            same = result[key].nan_to_num(nan=-1.0).equal(value.nan_to_num(nan=-1.0))
            assert same, (after, key)  # there was no best validation yet


@pytest.mark.parametrize("name", ["head", "backbone", "both"])
def test_other_processes_continue_to_the_same_values(chain, name):
    straight = load_file(chain / "straight" / name / MODEL)
    result = load_file(chain / CHAIN[-1] / name / MODEL)
    assert set(result) == set(straight)
    for key, value in straight.items():
        torch.testing.assert_close(result[key], value, rtol=1e-5, atol=1e-5, msg=key)


def test_the_model_of_several_processes_is_evaluated_by_one(runs, sharded):
    for name in ("head", "backbone", "both"):
        before = Run(runs / name / "straight").metrics
        again = evaluate(runs / name / "straight", catalog=sharded.catalog()).metrics
        assert again == pytest.approx(before, rel=1e-5)


def _require_equal(folder, name, expected, tolerance):
    first, second = (load_file(folder / f"{name}.{rank}") for rank in (0, 1))
    assert set(first) == set(expected)
    for key, value in expected.items():
        if value.numel():
            # solvers amplify the last bits of the gradients in their state
            scale = max(1.0, value.abs().max().item()) * (100 if key.startswith("weighting") else 1)
            difference = (first[key].float() - value.float()).abs().max().item()
            assert difference <= tolerance * scale, (name, key, difference)
            if second[key].shape == first[key].shape and "running" not in key:
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
