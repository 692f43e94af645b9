"""SAM against its definition in plain PyTorch, and what must not change with it."""

import copy
import math

import attrs
import pytest
import torch
import torch.nn.functional as F

from mtlkit.backbones import MLP, CasiaNet
from mtlkit.callbacks import EMA, SAM, FeatureLearning, Freeze
from mtlkit.callbacks.sam import move_along
from mtlkit.errors import NotFiniteError, RecipeError
from mtlkit.heads import Margin
from mtlkit.optim import SGD
from mtlkit.testing.small_data import SmallData, small_recipe, small_updater
from mtlkit.training.batching.batches import seed_step
from mtlkit.weightings import (
    DBMTL,
    DWA,
    FAMO,
    RLW,
    AutoLambda,
    CAGrad,
    Equal,
    GradientLocation,
    MoDo,
    NashMTL,
    PCGrad,
    Uncertainty,
)

CPU = torch.device("cpu")
NETWORK = CasiaNet(width=0.1, dropout=0.4)  # with batch norm and dropout


def recipe(*callbacks, train=None, **parts):
    small = small_recipe()
    train = attrs.evolve(small.train, loggers=(), **(train or {}))
    return attrs.evolve(small, callbacks=callbacks, train=train, **parts)


def classes(recipe):
    """The recipe with its tasks of classes only."""
    tasks = {name: task for name, task in recipe.tasks.items() if name != "size"}
    return attrs.evolve(recipe, tasks=tasks)


def flat(module):
    return torch.cat([p.detach().flatten().clone() for p in module.parameters()])


def trained(recipe, updates=6):
    updater = small_updater(recipe)
    for step in range(updates):
        updater.update(step)
    return updater


def assert_same(one, other, exact=True):
    first, second = one.inner.state_dict(), other.inner.state_dict()
    assert set(first) == set(second)
    for name, value in first.items():
        if exact:
            assert value.equal(second[name]), name
        else:
            torch.testing.assert_close(value, second[name], msg=name)


def by_hand(model, inputs, targets, optimizer, samples, step, rho):
    """An update of SAM for the sum of cross-entropies, in plain PyTorch."""

    def total():
        seed_step(0, step, 0, CPU)
        features = model.features(inputs[samples]).shared
        return sum(
            F.cross_entropy(model.head(task)(features), labels[samples], ignore_index=-1)
            for task, labels in targets.items()
            if (labels[samples] >= 0).any()
        )

    weights = list(model.parameters())
    statistics = copy.deepcopy(list(model.buffers()))
    gradients = torch.autograd.grad(total(), weights, allow_unused=True, materialize_grads=True)
    norm = math.sqrt(sum(g.double().square().sum().item() for g in gradients))
    moves = [rho * g / norm for g in gradients]
    with torch.no_grad():
        for buffer, value in zip(model.buffers(), statistics, strict=True):
            buffer.copy_(value)
        for weight, move in zip(weights, moves, strict=True):
            weight.add_(move)
    optimizer.zero_grad()
    total().backward()
    with torch.no_grad():
        for weight, move in zip(weights, moves, strict=True):
            weight.sub_(move)
    optimizer.step()


@pytest.mark.parametrize("backbone", [MLP(hidden=(8,)), NETWORK], ids=["plain", "norm-and-dropout"])
def test_it_is_its_definition(backbone):
    optimizer = SGD(lr=0.05, momentum=0.9)
    updater = small_updater(classes(recipe(SAM(rho=0.1), backbone=backbone, optimizer=optimizer)))
    model = copy.deepcopy(updater.inner.model)
    plain = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    inputs = updater.context.data.train.inputs
    targets = {
        task: rows[torch.arange(len(inputs))]
        for task, rows in updater.context.targets["train"].items()
    }
    for step in range(4):
        samples = updater.batches.update(step).whole
        by_hand(model, inputs, targets, plain, samples, step, rho=0.1)
        updater.update(step)
    expected = model.state_dict()
    for name, value in updater.inner.model.state_dict().items():
        torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-5, msg=name)
    without = trained(attrs.evolve(updater.context.recipe, callbacks=()), updates=4)
    assert (
        flat(without.inner.model) - flat(model)
    ).abs().max() > 1e-3  # rho matters, 100 times as much


SCHEMES = {
    "equal": Equal(),
    "uncertainty": Uncertainty(),
    "dwa": DWA(),
    "rlw": RLW(),
    "cagrad": CAGrad(),
    "nash-mtl": NashMTL(),
    "pcgrad at parameters": PCGrad(at=GradientLocation.PARAMETERS),
    "db-mtl with momentum": DBMTL(momentum=0.5, at=GradientLocation.PARAMETERS),
    "modo": MoDo(),
}


@pytest.mark.parametrize("weighting", SCHEMES.values(), ids=SCHEMES)
def test_a_weighting_decides_at_the_moved_weights_and_once(weighting):
    """Gradients and state are those of a plain update at w + rho g / |g|."""
    updater = small_updater(recipe(SAM(rho=0.3), weighting=weighting))
    plain = small_updater(recipe(weighting=weighting))
    for step in range(3):
        kept = {p: p.detach().clone() for p in plain.inner.model.parameters()}
        gradient = plain.backward.mean_gradient(step)
        norm = torch.cat([value.flatten() for value in gradient.values()]).norm()
        with torch.no_grad():
            for parameter, value in gradient.items():
                parameter += 0.3 * value / norm
        moved = {p: p.detach().clone() for p in plain.inner.model.parameters()}
        updater.update(step)
        plain.update(step)
        for mine, theirs in zip(updater.inner.parameters(), plain.inner.parameters(), strict=True):
            torch.testing.assert_close(mine.grad, theirs.grad)
        with torch.no_grad():  # the same step from where it was
            for parameter in plain.inner.model.parameters():
                parameter += kept[parameter] - moved[parameter]
        other = dict(plain.inner.weighting.named_buffers())
        for name, value in updater.inner.weighting.named_buffers():
            torch.testing.assert_close(value, other[name], msg=name)
        plain.inner.model.load_state_dict(updater.inner.model.state_dict())


@pytest.mark.parametrize("weighting", [Equal(), CAGrad(), MoDo()])
def test_micro_batches_make_the_same_updates(weighting):
    sharp = recipe(SAM(rho=0.3), weighting=weighting, train={"batch": 24})
    parts = attrs.evolve(sharp, train=attrs.evolve(sharp.train, accumulate=4))
    assert_same(trained(sharp), trained(parts), exact=False)


def test_a_radius_that_rounds_to_zero_gives_the_plain_run():
    for weighting in (Equal(), CAGrad(), MoDo()):
        plain = recipe(backbone=NETWORK, weighting=weighting)
        assert_same(trained(plain), trained(attrs.evolve(plain, callbacks=(SAM(rho=1e-30),))))


def test_an_update_starts_from_the_weights_before_to_the_bit(monkeypatch):
    updater = small_updater(
        recipe(SAM(rho=0.7), optimizer=SGD(lr=0.1, momentum=0.0), train={"batch": 8})
    )
    steps = []

    def recording(step):
        steps.append(flat(updater.inner.model))

    monkeypatch.setattr(updater.callbacks, "after_backward", recording)
    for step in range(4):
        before = flat(updater.inner.model)
        updater.update(step)
        gradient = torch.cat([p.grad.flatten() for p in updater.inner.model.parameters()])
        assert steps[-1].equal(before)
        assert flat(updater.inner.model).equal(before.add(gradient, alpha=-0.1))
        assert gradient.abs().max() > 0


def test_averages_are_those_of_the_restored_weights():
    updater = small_updater(recipe(EMA(decay=0.8), SAM(rho=0.5)))
    expected = None
    for step in range(4):
        updater.update(step)
        updater.callbacks.after_update(step + 1)
        weights = flat(updater.inner.model)
        expected = weights if expected is None else 0.8 * expected + 0.2 * weights
    [ema, _] = updater.callbacks
    torch.testing.assert_close(flat(ema.evaluated_model()), expected)


def test_frozen_parameters_are_neither_moved_nor_counted_in_the_norm():
    for epochs in (None, 1):
        freeze = Freeze(parameters=("backbone",), epochs=epochs)
        updater = small_updater(recipe(SAM(rho=0.3), freeze, backbone=NETWORK))
        model = updater.inner.model
        parts = {
            part: [
                p
                for n, p in model.named_parameters()
                if n.startswith("heads.") == (part == "heads")
            ]
            for part in ("heads", "backbone")
        }
        before = {p: p.detach().clone() for p in model.parameters()}
        seed_step(0, 0, 0, CPU)
        updater.callbacks.before_update(0)
        with updater.callbacks.around_backward(0):
            assert all(p.equal(before[p]) for p in parts["backbone"])
            move = torch.cat([(p - before[p]).flatten() for p in parts["heads"]])
        assert move.norm().item() == pytest.approx(0.3, rel=1e-4)


@pytest.mark.parametrize(
    "other", [Freeze(epochs=1), FeatureLearning(parameters=("heads.*.weight",), strength=0.1)]
)
def test_the_order_of_callbacks_does_not_matter(other):
    tasks = {name: small_recipe().tasks[name] for name in ("kind", "side", "rare")}
    orders = [(SAM(rho=0.3), other), (other, SAM(rho=0.3))]
    one, two = (trained(recipe(*order, backbone=NETWORK, tasks=tasks)) for order in orders)
    assert_same(one, two)


def test_half_precision_moves_and_restores_weights():
    updater = trained(recipe(SAM(), backbone=NETWORK, train={"precision": "bf16"}))
    assert all(p.dtype == torch.float32 and p.isfinite().all() for p in updater.inner.parameters())


def test_missing_labels_are_no_obstacle():
    updater = trained(recipe(SAM(), data=SmallData(sparse=True), weighting=CAGrad()))
    assert flat(updater.inner.model).isfinite().all()


class Breaking:
    """The loss of a head, which is NaN from its call number `first` on."""

    def __init__(self, loss, first):
        self.loss, self.calls, self.first = loss, 0, first

    def __call__(self, features, target):
        self.calls += 1
        values = self.loss(features, target)
        return values * math.nan if self.calls >= self.first else values


@pytest.mark.parametrize("first", [1, 2], ids=["at the weights", "at the moved weights"])
def test_a_loss_that_is_not_finite_is_named_and_the_weights_are_restored(monkeypatch, first):
    updater = small_updater(recipe(SAM(rho=0.3)))
    head = updater.inner.model.head("side")
    monkeypatch.setattr(head, "loss", Breaking(head.loss, first))
    before = flat(updater.inner.model)
    with pytest.raises(NotFiniteError) as caught:
        updater.update(0)
    assert list(caught.value.tasks) == ["side"]
    assert flat(updater.inner.model).equal(before)


@pytest.mark.parametrize("bad", [0.0, math.inf, math.nan])
def test_gradients_without_a_direction_move_nothing(bad):
    weights = [torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2, 3))]
    move_along(dict(zip(weights, [torch.tensor([bad, 0.0]), torch.zeros(2, 3)], strict=True)), 0.3)
    assert all(weight.eq(1).all() for weight in weights)


MARGIN = {"who": attrs.evolve(small_recipe().tasks["kind"], target="kind", head=Margin(shard=True))}
REFUSED = {
    "a second one": (
        {"callbacks": (SAM(), EMA(), SAM(rho=0.1))},
        "callbacks.2: moves the parameters that callbacks.0 moves; leave one of them out",
    ),
    "losses after the step": (
        {"weighting": FAMO()},
        "callbacks.0: SAM computes gradients at moved parameters, but FAMO compares those before "
        "and after a step; leave one of them out",
    ),
    "a trial step": ({"weighting": AutoLambda()}, "moved parameters, but AutoLambda compares"),
    "fp16": (
        {"train": attrs.evolve(small_recipe().train, precision="fp16")},
        "train.precision: a gradient beyond float16 has no direction in which SAM could move, got "
        "fp16; use `bf16` or `fp32`",
    ),
    "a divided head": (
        {"tasks": MARGIN},
        "callbacks.0: SAM needs whole parameters or gradients, got a head with `shard`; leave it",
    ),
    "a divided backbone": (
        {"train": attrs.evolve(small_recipe().train, shard="backbone")},
        "callbacks.0: SAM needs whole parameters or gradients, got `train.shard`; leave it out",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused_when_the_recipe_is_read(name):
    changes, message = REFUSED[name]
    whole = attrs.evolve(recipe(SAM()), **changes)
    with pytest.raises(RecipeError) as caught:
        whole.check()
    assert message in str(caught.value)


def test_every_weighting_of_one_step_is_accepted(schemes):
    compared = {name for name, weighting in schemes.items() if weighting.compares_steps}
    assert compared == {"famo", "auto-lambda"}
