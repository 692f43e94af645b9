"""Checkpoints: what is saved comes back to the bit, for every optimiser and weighting."""

import json

import attrs
import pytest
import torch
from torch import nn

from mtlkit.atomic_files import remove_partial
from mtlkit.checksums import sealed, unsealed
from mtlkit.errors import RunError
from mtlkit.optim import SGD, AdamW
from mtlkit.training.checkpoint import (
    Checkpoint,
    newest_checkpoint,
    save_checkpoint,
    saved_steps,
    tensors_of,
)
from mtlkit.training.optimization.optimizer_state import (
    OptimizerState,
    optimizer_state,
    restore_optimizer,
)
from mtlkit.weightings import Dynamic, Equal, Uncertainty


def checkpoint_of(made, step):
    return Checkpoint(
        step=step,
        model=tensors_of(made.inner.model),
        weighting=tensors_of(made.inner.weighting),
        optimizer=optimizer_state(made.optimizer),
        progress={"meter": made.meter.state(), "seconds": 1.5},
    )


def empty(step):
    return Checkpoint(
        step=step, model={"a": torch.zeros(2)}, weighting={},
        optimizer=OptimizerState({}, {"values": {}, "groups": []}), progress={},
    )  # fmt: skip


@pytest.mark.parametrize("optimizer", [SGD(), SGD(momentum=0.0), SGD(nesterov=True), AdamW()])
@pytest.mark.parametrize("weighting", [Equal(), Uncertainty(), Dynamic()])
def test_a_restored_run_makes_the_same_updates(points, tmp_path, optimizer, weighting):
    recipe = attrs.evolve(points.LEARNED, optimizer=optimizer, weighting=weighting)
    one = points.updater(recipe)
    for step in range(3):
        one.update(step)
    save_checkpoint(tmp_path, checkpoint_of(one, 3))
    saved = newest_checkpoint(tmp_path)
    assert saved.step == 3
    assert saved.progress["seconds"] == 1.5

    other = points.updater(recipe)
    with torch.no_grad():
        for parameter in other.inner.parameters():
            parameter.add_(1)  # restored below
    other.inner.model.load_state_dict(saved.model)
    other.inner.weighting.load_state_dict(saved.weighting)
    restore_optimizer(other.optimizer, saved.optimizer)
    other.meter.restore(saved.progress["meter"])
    for step in (3, 4):
        one.update(step)
        other.update(step)
    expected = tensors_of(one.inner)
    assert all(value.equal(expected[key]) for key, value in tensors_of(other.inner).items())
    assert one.meter.read() == other.meter.read()


def test_restored_states_keep_the_memory_format(points):
    made = points.updater(points.LEARNED)
    made.update(0)
    saved = optimizer_state(made.optimizer)
    plain = {key: value.clone().contiguous() for key, value in saved.tensors.items()}
    fresh = points.updater(points.LEARNED)
    restore_optimizer(fresh.optimizer, OptimizerState(plain, saved.values))
    for parameter, state in fresh.optimizer.state.items():
        assert state["exp_avg"].stride() == parameter.stride()


def test_the_newest_two_are_kept(tmp_path):
    for step in (3, 20, 100):
        save_checkpoint(tmp_path, empty(step))
    assert saved_steps(tmp_path) == [20, 100]
    assert newest_checkpoint(tmp_path).step == 100


def test_there_may_be_none(tmp_path):
    assert newest_checkpoint(tmp_path) is None
    assert newest_checkpoint(tmp_path / "missing") is None


def test_half_written_ones_are_ignored_and_removed(tmp_path):
    save_checkpoint(tmp_path, empty(1))
    (tmp_path / ".partial-step-00000002").mkdir()
    (tmp_path / ".partial-step-00000002" / "model.safetensors").write_bytes(b"half")
    (tmp_path / ".partial-log").write_bytes(b"half")
    assert newest_checkpoint(tmp_path).step == 1
    remove_partial(tmp_path)
    assert [item.name for item in tmp_path.iterdir()] == ["step-00000001"]


def test_no_file_is_a_pickle(tmp_path, points):
    made = points.updater(points.LEARNED)
    made.update(0)
    path = save_checkpoint(tmp_path, checkpoint_of(made, 1))
    assert sorted(item.name for item in path.iterdir()) == [
        "callbacks.safetensors", "model.safetensors", "optimizer.safetensors", "state.json",
        "weighting.safetensors",
    ]  # fmt: skip
    assert all(item.suffix in (".safetensors", ".json") for item in path.iterdir())


@pytest.mark.parametrize("name", ["model.safetensors", "state.json", "optimizer.safetensors"])
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_damaged_one_is_named_with_what_to_do(tmp_path, name, damage):
    path = save_checkpoint(tmp_path, empty(7)) / name
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-5])
    else:
        path.unlink()
    with pytest.raises(RunError, match=r"step-00000007: the checkpoint is damaged .* delete this"):
        newest_checkpoint(tmp_path)


def test_another_format_is_refused(tmp_path):
    path = save_checkpoint(tmp_path, empty(7)) / "state.json"
    path.write_text(sealed({**unsealed(path.read_text()), "format": 99}))
    with pytest.raises(RunError, match="is a checkpoint of format 99, this mtlkit reads 2 and 3"):
        newest_checkpoint(tmp_path)


def test_state_outside_tensors_is_refused():
    class Odd(nn.Module):
        def get_extra_state(self):
            return {"memory": 1}

        def set_extra_state(self, state):
            pass

    with pytest.raises(RunError, match=r"Odd\._extra_state: the state is a dict"):
        tensors_of(Odd())

    class Stubborn(torch.optim.SGD):
        pass

    optimizer = Stubborn([nn.Parameter(torch.zeros(2))], lr=0.1)
    optimizer.param_groups[0]["hook"] = object()
    with pytest.raises(RunError, match="Stubborn group hook: got a value of type object, which"):
        optimizer_state(optimizer)


def test_numbers_in_an_optimizers_state_come_back(points):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(2))], lr=0.1, momentum=0.9)
    optimizer.state[optimizer.param_groups[0]["params"][0]] = {"count": 3, "on": True}
    saved = optimizer_state(optimizer)
    fresh = torch.optim.SGD([nn.Parameter(torch.zeros(2))], lr=0.1, momentum=0.9)
    restore_optimizer(fresh, OptimizerState({}, json.loads(json.dumps(saved.values))))
    assert next(iter(fresh.state.values())) == {"count": 3, "on": True}


def named_optimizer(layout, names):
    """AdamW with groups of parameters, lists of names, and the names."""
    parameters = {name: nn.Parameter(torch.full((2,), float(ord(name)))) for name in names}
    groups = [
        {"params": [parameters[name] for name in members], "name": group, "lr": rate}
        for group, (members, rate) in layout.items()
    ]
    return torch.optim.AdamW(groups), parameters, {p: n for n, p in parameters.items()}


def after_a_step(layout):
    optimizer, parameters, names = named_optimizer(layout, "abc")
    for name, parameter in parameters.items():
        parameter.grad = torch.full((2,), float(ord(name)))
    optimizer.step()
    return optimizer_state(optimizer, names)


def test_states_follow_the_names_of_parameters_and_groups():
    saved = after_a_step({"weights": ("ab", 0.1), "biases": ("c", 0.2)})
    assert saved.values["groups"][0]["params"] == ["a", "b"]
    swapped = {"biases": ("c", 0.5), "weights": ("ba", 0.6)}
    optimizer, parameters, names = named_optimizer(swapped, "abc")
    restore_optimizer(optimizer, saved, names)
    for name, parameter in parameters.items():
        expected = 0.1 * torch.full((2,), float(ord(name)))
        torch.testing.assert_close(optimizer.state[parameter]["exp_avg"], expected)
    assert [(group["name"], group["lr"]) for group in optimizer.param_groups] == [
        ("biases", 0.2), ("weights", 0.1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("layout", "names", "message"),
    [
        ({"weights": ("a", 0.1), "biases": ("cb", 0.2)}, "abc",
         "b is in the group 'biases' and was in 'weights'"),
        ({"weights": ("abd", 0.1), "biases": ("c", 0.2)}, "abcd", "d is new"),
        ({"weights": ("a", 0.1), "biases": ("c", 0.2)}, "ac", "b is gone"),
        ({"weights": ("ad", 0.1), "biases": ("c", 0.2)}, "acd", "d is new; b is gone"),
    ],
)  # fmt: skip
def test_other_parameters_and_groups_are_named(layout, names, message):
    saved = after_a_step({"weights": ("ab", 0.1), "biases": ("c", 0.2)})
    optimizer, _, ids = named_optimizer(layout, names)
    with pytest.raises(ValueError, match=f"than the optimizer's state: {message}$"):
        restore_optimizer(optimizer, saved, ids)


def test_kernels_are_those_of_today():
    """They depend on how parameters are divided, which other processes change."""
    saved = after_a_step({"weights": ("ab", 0.1), "biases": ("c", 0.2)})
    optimizer, _, names = named_optimizer({"weights": ("ab", 0.1), "biases": ("c", 0.2)}, "abc")
    optimizer.param_groups[0]["fused"] = False
    restore_optimizer(optimizer, saved, names)
    assert [group["fused"] for group in optimizer.param_groups] == [False, None]
