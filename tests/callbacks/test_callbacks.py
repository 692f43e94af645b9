"""Callbacks against their definitions, on the kit's small recipe."""

import math
from types import SimpleNamespace

import attrs
import pytest
import torch

from mtlkit.backbones import MLP, CasiaNet
from mtlkit.callbacks import EMA, SWA, BestWeights, EarlyStopping, Freeze, GradientNoise, Plateau
from mtlkit.callbacks.averaging import recalculate_batch_norm
from mtlkit.callbacks.monitored_metric import MonitoredMetric, monitored_metric
from mtlkit.callbacks.parameter_selection import part_of, select_parameters
from mtlkit.data.columns import Categorical
from mtlkit.data.dataset import Data
from mtlkit.errors import AssemblyError, RecipeError
from mtlkit.optim import AdamW
from mtlkit.task import Task
from mtlkit.testing.small_data import SmallData, small_recipe, small_training, small_updater


def recipe(*callbacks, **changes):
    train = attrs.evolve(small_recipe().train, loggers=(), **changes)
    return attrs.evolve(small_recipe(), callbacks=callbacks, train=train)


def flat(model):
    return torch.cat([p.detach().flatten().clone() for p in model.parameters()])


def history(updater, updates):
    """The weights before the first and after each of the updates."""
    weights = [flat(updater.inner.model)]
    for step in range(updates):
        updater.update(step)
        updater.callbacks.after_update(step + 1)
        weights.append(flat(updater.inner.model))
    return weights


def test_ema_is_its_formula():
    updater = small_updater(recipe(EMA(decay=0.8)))
    weights = history(updater, 5)
    expected = weights[1]
    for later in weights[2:]:
        expected = 0.8 * expected + 0.2 * later
    [ema] = updater.callbacks
    torch.testing.assert_close(flat(ema.evaluated_model()), expected)
    ema.finish()
    torch.testing.assert_close(flat(updater.inner.model), expected)


def test_swa_is_the_mean_of_the_last_part():
    updater = small_updater(recipe(SWA(start=0.5, every=1)))
    weights = history(updater, 6)  # of 6: those after the updates 4, 5 and 6
    updater.callbacks.finish()
    torch.testing.assert_close(flat(updater.inner.model), torch.stack(weights[4:]).mean(0))


def test_batch_norm_is_recalculated_as_means_over_the_training_split():
    updater = small_updater(attrs.evolve(recipe(SWA()), backbone=CasiaNet(width=0.1)))
    model, run = updater.inner.model, next(iter(updater.callbacks)).run
    norm = next(m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d))
    means = []
    hook = norm.register_forward_pre_hook(lambda _, x: means.append(x[0].mean((0, 2, 3))))
    recalculate_batch_norm(model, run)
    hook.remove()
    assert len(means) == 2  # 32 samples in batches of 16
    torch.testing.assert_close(norm.running_mean, torch.stack(means).mean(0))
    assert norm.momentum == 0.1


def test_batch_norm_is_recalculated_without_a_batch_of_one_sample(monkeypatch):
    monkeypatch.setattr("mtlkit.backbones.mlp.nn.ReLU", lambda: torch.nn.BatchNorm1d(8))
    small = recipe(SWA(), batch=31)  # of 32 samples, which are trained in updates of 16
    updater = small_updater(attrs.evolve(small, backbone=MLP(hidden=(8,))))
    recalculate_batch_norm(updater.inner.model, next(iter(updater.callbacks)).run)


def test_ema_without_an_average_keeps_the_last_weights():
    updater = small_updater(recipe(EMA(every=100)))
    weights = history(updater, 2)
    [message] = updater.callbacks.finish()
    assert message == "ema: no weights were averaged; the last weights are kept"
    assert torch.equal(flat(updater.inner.model), weights[-1])


class Scripted:
    """Validation metrics in a fixed sequence, in place of those of the model."""

    def __init__(self, values):
        self.values = iter(values)

    def __call__(self, *_, **__):
        return {"kind/accuracy": next(self.values), "kind/loss": 1.0}


@pytest.fixture
def trained(monkeypatch, tmp_path):
    def run(values, *callbacks, **changes):
        monkeypatch.setattr("mtlkit.training.loop.validation_metrics", Scripted(values))
        training = small_training(recipe(*callbacks, **changes), tmp_path)
        training.run()
        return training

    return run


def test_training_stops_when_the_metric_no_longer_improves(trained):
    values = [0.1, 0.5, math.nan, 0.5, 0.9]
    training = trained(values, EarlyStopping(patience=2), epochs=5)
    assert training.step == 8  # two updates in an epoch; 0.5 is no better than 0.5
    training.run()  # as after a resume: it stays stopped
    assert training.step == 8


def test_improvements_below_the_smallest_do_not_count(trained):
    training = trained([0.5, 0.51, 0.52], EarlyStopping(patience=2, min_delta=0.05), epochs=3)
    assert training.step == 6
    assert training.callbacks.stop


def test_the_best_weights_are_those_of_the_best_validation(trained, tmp_path):
    values = [0.1, 0.9, 0.9, 0.3]
    best = trained(values, BestWeights(), epochs=4)
    updater = small_updater(recipe(epochs=4))
    weights = history(updater, 4)
    assert torch.equal(flat(best.model), weights[4])


def test_the_best_of_averaged_weights_is_an_average(trained):
    values = [0.9, 0.1]
    training = trained(values, EMA(decay=0.5), BestWeights(), epochs=2)
    weights = history(small_updater(recipe()), 2)
    torch.testing.assert_close(flat(training.model), (weights[1] + weights[2]) / 2)


@pytest.mark.parametrize(
    ("callbacks", "place"),
    [((EMA(), SWA()), 1), ((BestWeights(), EMA()), 1), ((SWA(), BestWeights()), 1)],
)
def test_weights_that_would_be_lost_are_refused(callbacks, place):
    with pytest.raises(RecipeError, match=rf"callbacks.{place}: replaces the weights that"):
        recipe(*callbacks).check()
    recipe(EMA(), BestWeights()).check()


def test_a_frozen_part_is_neither_updated_nor_decayed():
    value = attrs.evolve(
        recipe(Freeze(parameters=("backbone",), epochs=1)), optimizer=AdamW(weight_decay=0.5)
    )
    updater = small_updater(value)
    names = [n for n, part in part_of(updater.inner.model).items() if part == "backbone"]
    assert names
    states = [{n: p.detach().clone() for n, p in updater.inner.model.named_parameters()}]
    for step in range(3):  # an epoch has two updates
        updater.update(step)
        parameters = updater.inner.model.named_parameters()
        states.append({n: p.detach().clone() for n, p in parameters})
    for name in names:
        assert torch.equal(states[0][name], states[2][name])
        assert not torch.equal(states[2][name], states[3][name])
    assert not all(torch.equal(states[0][n], states[1][n]) for n in states[0])


def test_what_is_always_frozen_needs_no_gradient_and_keeps_its_statistics():
    value = attrs.evolve(recipe(Freeze()), backbone=CasiaNet(width=0.1))
    updater = small_updater(value)
    before = {k: v.clone() for k, v in updater.inner.model.router.state_dict().items()}
    for step in range(2):
        updater.update(step)
    after = updater.inner.model.router.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_pattern_that_selects_nothing_is_an_error():
    model = small_updater(recipe()).inner.model
    heads = select_parameters(model, ["heads.kind_*", "heads.side_*"], "freeze")
    assert {name.split(".")[1] for name in heads} == {"kind_head", "side_head"}
    assert set(heads) < set(select_parameters(model, ["heads"], "freeze"))
    with pytest.raises(AssemblyError, match="model matches 'backbon'; did you mean 'backbone'"):
        select_parameters(model, ["backbon"], "freeze")
    with pytest.raises(AssemblyError, match="every parameter of the model would always be frozen"):
        small_updater(recipe(Freeze(parameters=("*",))))
    for epochs in (None, 100):
        parts = (Freeze(parameters=("heads",), epochs=epochs), Freeze())
        with pytest.raises(AssemblyError, match="every parameter of the model would always be"):
            small_updater(recipe(*parts))
    with pytest.raises(AssemblyError, match="the router of this model has no parameters; give bac"):
        select_parameters(model, ["router"], "freeze")
    buffer = next(name for name, _ in model.named_buffers() if name.startswith("heads."))
    with pytest.raises(AssemblyError, match="no parameter of the model matches"):
        select_parameters(model, [buffer], "freeze")
    with pytest.raises(AssemblyError, match="callbacks: freeze: got no name"):
        small_updater(recipe(Freeze(parameters=())))


def test_gradient_noise_is_its_formula():
    updater = small_updater(recipe(GradientNoise(window=3), batch=32))
    gradients = []
    parameters = list(updater.inner.model.parameters())
    plain = updater.callbacks.after_backward

    def recording(step):
        gradients.append(torch.cat([p.grad.flatten() for p in parameters]).double())
        plain(step)

    updater.callbacks.after_backward = recording
    for step in range(3):
        updater.update(step)
    g = torch.stack(gradients)
    variance = g.var(dim=0).sum()
    signal = g.mean(0).square().sum() - variance / 3
    values = updater.callbacks.log_values()
    assert values["gradient norm"] == pytest.approx(g.norm(dim=1).mean().item(), rel=1e-5)
    assert signal > 0
    assert values["gradient noise"] == pytest.approx((variance / signal).item(), rel=1e-3)
    assert "gradient norm" not in updater.callbacks.log_values()  # no update since


def test_a_plateau_lowers_the_rate_and_the_schedule_still_counts(trained):
    values = [0.5, 0.5, 0.5, 0.6, 0.6]
    training = trained(values, Plateau(factor=0.5, patience=2), epochs=5)
    assert training.updater.rate_factor(9) == 0.5
    assert training.updater.optimizer.param_groups[0]["lr"] == 0.5 * 0.05
    low = trained([0.5] * 4, Plateau(factor=0.1, patience=1, floor=0.05), epochs=4)
    assert low.updater.rate_factor(0) == 0.05


def test_the_metric_is_that_of_the_main_task():
    tasks = small_recipe().tasks
    assert monitored_metric(None, tasks) == MonitoredMetric("kind/accuracy", True)
    assert monitored_metric("size/rmse", tasks) == MonitoredMetric("size/rmse", False)
    assert monitored_metric("size/loss", tasks) == MonitoredMetric("size/loss", False)
    with pytest.raises(ValueError, match="is named 'kind/acuracy'; did you mean 'kind/accuracy'"):
        monitored_metric("kind/acuracy", tasks)
    with pytest.raises(ValueError, match="got none, and 2 tasks to decide on; expected one of a/"):
        monitored_metric(None, {"a": Task(), "b": Task()})


@attrs.frozen(kw_only=True)
class WithoutValidation(SmallData):
    def load(self, loading):
        data = super().load(loading)
        return Data(train=data.train, validation=None, test=data.test)


def test_a_metric_needs_a_validation_split():
    value = attrs.evolve(recipe(EarlyStopping()), data=WithoutValidation())
    with pytest.raises(AssemblyError, match=r"callbacks.0: EarlyStopping depends on"):
        small_updater(value)


@pytest.mark.parametrize("factor", [0, 1, -0.5])
def test_a_plateau_that_ends_training_or_changes_nothing_is_refused(factor):
    with pytest.raises(ValueError, match="factor: expected a number"):
        Plateau(factor=factor)


@pytest.mark.parametrize("callback", [BestWeights(), EarlyStopping(), Plateau()])
def test_a_metric_needs_several_validations_in_a_run_of_steps(callback):
    """Two updates are an epoch."""
    assert small_updater(recipe(callback, steps=4, evaluate_every=2))
    with pytest.raises(AssemblyError, match=r"callbacks.0: .* compares validations, .*`steps: 3`"):
        small_updater(recipe(callback, steps=3, evaluate_every=2))


@attrs.frozen(kw_only=True)
class WithoutLabels(SmallData):
    def load(self, loading):
        data = super().load(loading)
        names = data.validation.columns["kind"].names
        missing = Categorical(torch.full((len(data.validation),), -1), names)
        columns = {**data.validation.columns, "kind": missing}
        return attrs.evolve(data, validation=attrs.evolve(data.validation, columns=columns))


@pytest.mark.parametrize("callback", [BestWeights, EarlyStopping, Plateau])
def test_a_metric_needs_a_label_in_validation(callback):
    value = attrs.evolve(recipe(callback(metric="kind/accuracy")), data=WithoutLabels())
    with pytest.raises(AssemblyError, match=r"callbacks.0: kind/accuracy is never a number"):
        small_updater(value)
    assert small_updater(attrs.evolve(recipe(callback(metric="side/loss")), data=WithoutLabels()))


def test_a_run_of_steps_ends_after_them_and_is_validated(trained):
    training = trained([0.1, 0.2], epochs=7, steps=3)
    assert (training.step, training.steps, training.epoch) == (3, 3, 1.5)


@pytest.mark.parametrize("bad", [0, -1, True, 1.5, "10", "0 min", "10 minutes", "min"])
def test_checkpoints_by_steps_or_minutes(bad):
    assert recipe(checkpoint_every="10 min").train.checkpoint_seconds == 600
    assert recipe(checkpoint_every=10).train.checkpoint_seconds is None
    with pytest.raises(ValueError, match="checkpoint_every: expected a number of steps of"):
        recipe(checkpoint_every=bad)


def test_minutes_pass_between_checkpoints(monkeypatch, tmp_path):
    times = iter(range(0, 10_000, 25))  # every look at the clock is 25 s later
    training = small_training(recipe(checkpoint_every="1 min", steps=6), tmp_path)
    saved = []
    plain = training._save
    clock = SimpleNamespace(monotonic=lambda: next(times))
    monkeypatch.setattr("mtlkit.training.loop.time", clock)
    monkeypatch.setattr(training, "_save", lambda: (saved.append(training.step), plain()))
    training.run()
    assert saved == [3, 6, 6]  # the last one, at the end, finds its checkpoint
