"""Parameter groups: names and rates in the log, rates of a plugin, and other training weights."""

import json

import attrs
import pytest
import torch

from mtlkit.optim import SGD, Cosine, ScheduleFree
from mtlkit.testing.small_data import small_recipe, small_training, small_updater
from mtlkit.training.checkpoint import newest_checkpoint
from mtlkit.training.optimizer_calls import evaluation_weights
from mtlkit.weightings import Uncertainty


@attrs.frozen(kw_only=True)
class OwnRates(SGD):
    """A plugin's optimizer that trains biases ten times as fast, and names one more group."""

    def build(self, groups):
        groups = [dict(group) for group in groups]
        first, last = groups[0], groups[1]
        last["lr"] = 10 * self.lr
        extra = {**first, "params": first["params"][1:], "name": "later weights", "lr": self.lr / 2}
        first["params"] = first["params"][:1]
        return super().build([first, last, extra])


def test_the_rates_and_groups_of_a_plugin_are_kept_and_logged(tmp_path):
    recipe = attrs.evolve(small_recipe(), optimizer=OwnRates(lr=0.01), schedule=Cosine())
    recipe = attrs.evolve(recipe, train=attrs.evolve(recipe.train, log_every=1))
    training = small_training(recipe, tmp_path)
    training.context = attrs.evolve(training.context, folder=tmp_path)
    training.run()
    events = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    steps = [event for event in events if event["kind"] == "step"]
    for event in steps:
        rate = event["learning_rate"]
        assert event["learning_rates"] == pytest.approx(
            {"weights": rate, "biases and norms": 10 * rate, "later weights": rate / 2}
        )
    assert steps[0]["learning_rate"] == 0.01


def test_equal_rates_are_logged_once(tmp_path):
    updater = small_updater(attrs.evolve(small_recipe(), weighting=Uncertainty()))
    names = [group["name"] for group in updater.optimizer.param_groups]
    assert names == ["weights", "biases and norms", "loss weights"]


@pytest.fixture
def schedule_free():
    pytest.importorskip("schedulefree")
    train = attrs.evolve(small_recipe().train, loggers=(), checkpoint_every=2)
    return attrs.evolve(small_recipe(), optimizer=ScheduleFree(lr=0.05), train=train)


def flat(model):
    return torch.cat([p.detach().flatten().clone() for p in model.parameters()])


def test_schedule_free_evaluates_and_keeps_the_averaged_weights(schedule_free, tmp_path):
    updater = small_updater(schedule_free)
    for step in range(6):
        updater.update(step)
    model = updater.inner.model
    training = flat(model)
    with evaluation_weights(updater.optimizer):
        averaged = flat(model)
    assert not torch.equal(training, averaged)
    torch.testing.assert_close(flat(model), training)
    run = small_training(schedule_free, tmp_path)
    run.run()
    torch.testing.assert_close(flat(run.model), averaged)


def test_schedule_free_resumes_exactly(schedule_free, tmp_path):
    whole = small_training(schedule_free, tmp_path / "whole")
    whole.run()
    half = attrs.evolve(schedule_free, train=attrs.evolve(schedule_free.train, steps=4))
    small_training(half, tmp_path / "half").run()
    resumed = small_training(schedule_free, tmp_path / "half")
    resumed.restore(newest_checkpoint(tmp_path / "half"))
    resumed.run()
    assert torch.equal(flat(resumed.model), flat(whole.model)) or torch.allclose(
        flat(resumed.model), flat(whole.model), atol=1e-7
    )
