"""A run whose checkpoint an earlier mtlkit wrote, in format 2, goes on in the format of today."""

import importlib
from pathlib import Path

import attrs
import pytest

from mtlkit import evaluate, fit, resume
from mtlkit.callbacks import EMA, BestWeights
from mtlkit.errors import InterruptedRunError, RunError
from mtlkit.optim import SGD, AdamW
from mtlkit.runs.prediction.predict import load_model
from mtlkit.runs.storage.folder import RunFolder, read_json
from mtlkit.training import loop
from mtlkit.training.checkpoint import FORMAT, saved_steps
from mtlkit.training.optimization.numbered_state import named_values
from mtlkit.training.update import Updater


def formats(folder):
    paths = (folder / f"step-{step:08d}" / "state.json" for step in saved_steps(folder))
    return [read_json(path)["format"] for path in paths]


@pytest.fixture
def format_2(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return importlib.import_module("format_2")


@pytest.fixture
def stopped(points, format_2, tmp_path):
    """Stop a run whose checkpoints are of format 2 before its tenth update."""

    def stop(recipe, name="old"):
        plain = Updater.update

        def update(self, step, stop_request):
            if step == 9:
                raise KeyboardInterrupt
            return plain(self, step, stop_request)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Updater, "update", update)
            patch.setattr(loop, "optimizer_state", format_2.numbered_state)
            patch.setattr(loop, "save_checkpoint", format_2.save_checkpoint)
            with pytest.raises(InterruptedRunError):
                fit(recipe, tmp_path / name, catalog=points.catalog(), quiet=True, report=False)
        return RunFolder(tmp_path / name)

    return stop


@pytest.mark.parametrize("optimizer", [SGD(momentum=0.9), AdamW()])
def test_it_ends_as_a_run_of_today(points, stopped, tmp_path, optimizer):
    train = attrs.evolve(points.LEARNED.train, checkpoint_every=4)
    callbacks = (EMA(decay=0.5), BestWeights())
    recipe = attrs.evolve(points.LEARNED, optimizer=optimizer, callbacks=callbacks, train=train)
    known = points.catalog()
    whole = fit(recipe, tmp_path / "whole", catalog=known, quiet=True, report=False)
    old = stopped(recipe)
    assert formats(old.checkpoints) == [2, 2]
    run = resume(old.path, catalog=known, quiet=True, report=False)
    assert formats(old.checkpoints) == [2 if whole_steps(whole)[0] == 8 else FORMAT, FORMAT]
    assert run.model.read_bytes() == whole.model.read_bytes()
    assert (run.path / "log.jsonl").read_bytes() == (whole.path / "log.jsonl").read_bytes()
    assert evaluate(run.path, catalog=known).metrics == whole.metrics


def whole_steps(run):
    return saved_steps(RunFolder(run.path).checkpoints)


def test_a_finished_run_with_such_a_checkpoint_is_evaluated_and_predicts(points, stopped):
    old = stopped(points.PLAIN)
    known = points.catalog()
    before = resume(old.path, catalog=known, quiet=True, report=False).metrics
    checkpoint = max(old.checkpoints.iterdir())
    for path in old.checkpoints.iterdir():
        if path != checkpoint:
            assert read_json(path / "state.json")["format"] == 2
    assert evaluate(old.path, catalog=known).metrics == before
    assert set(load_model(old.path, known).network.tasks) == set(points.PLAIN.tasks)


def test_other_groups_are_refused(stopped, format_2, points):
    old = stopped(points.PLAIN)
    state = max(old.checkpoints.iterdir()) / "state.json"
    values = read_json(state)
    first, *rest = values["optimizer"]["groups"]
    first["params"], moved = first["params"][:-1], first["params"][-1:]
    rest[0]["params"] = [*moved, *rest[0]["params"]]
    state.write_text(format_2.sealed(values))
    with pytest.raises(RunError, match=r"got groups of \[.*\] parameters, expected \["):
        resume(old.path, catalog=points.catalog(), quiet=True)
    assert formats(old.checkpoints)[-1] == 2  # nothing was lost


def test_groups_of_a_divided_backbone_have_their_names_of_today():
    groups = [{"name": "divided weights", "params": [1]}, {"name": "weights", "params": [0]}]
    values = {"state": {"0.step": 3.0}, "groups": groups, "more": {}}
    named = named_values(["1.exp_avg"], values, ["a", "b"], [1, 1])
    assert named["state"] == {"b": {"exp_avg": {"tensor": "1.exp_avg"}}, "a": {"step": 3.0}}
    assert named["groups"] == [
        {"name": "weights", "params": ["b"]}, {"name": "weights", "params": ["a"]},
    ]  # fmt: skip
    assert named_values([], named, ["a", "b"], [2]) is named  # names are kept
