"""Parameter groups: names and rates in the log, rates of a plugin, and other training weights."""

import json

import attrs
import pytest
import torch

from mtlkit.backbones import MLP, TimmModel
from mtlkit.errors import AssemblyError
from mtlkit.optim import SGD, Cosine, PartRates, ScheduleFree
from mtlkit.testing.small_data import small_recipe, small_training, small_updater
from mtlkit.training.checkpoint import newest_checkpoint
from mtlkit.training.optimization.backbone_layers import layer_exponents
from mtlkit.training.optimization.optimizer_calls import evaluation_weights
from mtlkit.training.optimization.parameter_groups import group_rates
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


def groups_of(**changes):
    recipe = attrs.evolve(small_recipe(), optimizer=SGD(lr=0.1, weight_decay=0.01, **changes))
    updater = small_updater(attrs.evolve(recipe, backbone=MLP(hidden=(8, 8))))
    names = {id(p): name for name, p in updater.inner.model.named_parameters()}
    rates = {}
    for group in updater.optimizer.param_groups:
        for parameter in group["params"]:
            assert id(parameter) not in {id(p) for p, _ in rates.values()}
            rates[names[id(parameter)]] = parameter, (group["lr"], group["weight_decay"])
    assert set(rates) == set(names.values())
    return {name: rate for name, (_, rate) in rates.items()}


def test_parts_have_their_rates_and_the_last_match_counts():
    rates = groups_of(
        parts={
            "heads": PartRates(lr=0.5),
            "heads.kind_head.*": PartRates(weight_decay=0.2),
            "backbone": PartRates(lr=0.02, weight_decay=0.0),
        }
    )
    for name, rate in rates.items():
        decays = not name.endswith("bias")
        if name.startswith("heads.kind_head."):
            assert rate == (0.1, 0.2 if decays else 0.0)
        elif name.startswith("heads."):
            assert rate == (0.5, 0.01 if decays else 0.0)
        else:
            assert rate == (0.02, 0.0)


def test_the_rate_of_a_layer_falls_towards_the_input():
    rates = groups_of(layer_decay=0.5)
    found = {name: rate for name, (rate, _) in rates.items() if name.endswith("weight")}
    backbone = [rate for name, rate in found.items() if not name.startswith("heads")]
    assert backbone == pytest.approx([0.1 * 0.5**2, 0.1 * 0.5])
    assert {rate for name, rate in found.items() if name.startswith("heads")} == {0.1}


def test_layers_of_a_timm_model_are_those_of_timm():
    recipe = attrs.evolve(small_recipe(), backbone=TimmModel(model="resnet10t"))
    exponents = layer_exponents(small_updater(recipe).inner.model)
    of = {name.removeprefix("router.backbone.model."): value for name, value in exponents.items()}
    assert of["conv1.0.weight"] == max(of.values())
    assert of["layer4.0.conv1.weight"] == 1
    order = [of[f"layer{n}.0.conv1.weight"] for n in (1, 2, 3, 4)]
    assert order == sorted(order, reverse=True)
    assert len(set(order)) == 4


def test_a_part_that_selects_nothing_is_refused():
    with pytest.raises(AssemblyError, match=r"optimizer.parts: no parameter .* 'haeds'; did you"):
        groups_of(parts={"haeds": PartRates(lr=0.5)})


def test_a_part_that_changes_nothing_is_refused():
    decay = PartRates(weight_decay=0.1)
    with pytest.raises(
        AssemblyError, match=r"parts.\*bias.weight_decay: got 0.1, but '\*bias' sel"
    ):
        groups_of(parts={"*bias": decay})
    with pytest.raises(
        AssemblyError, match=r"parts.heads.kind_head.\*: has no effect, because lat"
    ):
        groups_of(parts={"heads.kind_head.*": decay, "heads": PartRates(lr=0.5)})


@attrs.frozen(kw_only=True)
class Divided(SGD):
    """A plugin's optimizer that divides each group and leaves its name."""

    def build(self, groups):
        single = [{**group, "params": [p]} for group in groups for p in group["params"]]
        return super().build([{**group, "lr": n + 1.0} for n, group in enumerate(single)])


def test_groups_of_the_same_name_are_logged_apart():
    updater = small_updater(attrs.evolve(small_recipe(), optimizer=Divided()))
    rates = group_rates(updater.optimizer)
    assert len(rates) == len(updater.optimizer.param_groups) > 2
    assert list(rates)[:2] == ["weights", "weights 2"]
    assert rates["weights 2"] == 2.0


@attrs.frozen(kw_only=True)
class FirstGroup(SGD):
    """A plugin's optimizer that forgets all groups but the first."""

    def build(self, groups):
        return super().build(groups[:1])


def test_an_optimizer_that_leaves_parameters_out_is_refused():
    refusal = r"FirstGroup.build returned an optimizer without \d+ of .*'model\..*bias'; add every"
    with pytest.raises(AssemblyError, match=refusal):
        small_updater(attrs.evolve(small_recipe(), optimizer=FirstGroup()))
