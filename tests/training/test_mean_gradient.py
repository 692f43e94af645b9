"""The gradient that callbacks may read is that of an update of the plain sum."""

import attrs
import pytest
import torch

from mtlkit import GroupedBatches
from mtlkit.backbones import CasiaNet
from mtlkit.callbacks import Freeze
from mtlkit.errors import AssemblyError
from mtlkit.weightings import AutoLambda, CAGrad, MoDo

NETWORK = {"backbone": CasiaNet(width=0.05, dropout=0.4)}  # with batch norm and dropout


def changed(recipe, train=None, **parts):
    return attrs.evolve(recipe, **parts, train=attrs.evolve(recipe.train, **(train or {})))


CASES = {
    "plain": lambda p: p.PLAIN,
    "no labels in many updates": lambda p: changed(p.PLAIN, {"batch": 4}),
    "batch norm and dropout": lambda p: changed(p.PLAIN, **NETWORK),
    "micro-batches": lambda p: changed(p.PLAIN, {"accumulate": 3}, **NETWORK),
    "half precision": lambda p: changed(p.PLAIN, {"precision": "bf16"}, **NETWORK),
    "recomputed": lambda p: changed(p.PLAIN, {"checkpoint_activations": True}, **NETWORK),
    "branches": lambda p: changed(p.PLAIN, router=p.GROUPED, **NETWORK),
    "batches of tasks": lambda p: changed(
        p.PLAIN, {"batches": GroupedBatches(separate=True), "batch": 24, "accumulate": 2}
    ),
    "pixels, read on access": lambda p: changed(p.DENSE, data=p.Elements(lazy=True)),
}


def test_it_is_the_gradient_of_an_update_of_the_plain_sum(points):
    for name, case in CASES.items():
        updater = points.updater(case(points))
        for step in range(3):
            gradient = updater.backward.mean_gradient(step)
            updater.update(step)
            assert {p for p in updater.inner.model.parameters() if p.requires_grad} == set(gradient)
            for parameter, value in gradient.items():
                torch.testing.assert_close(value, parameter.grad, msg=f"{name}, step {step}")


def test_it_leaves_gradients_buffers_and_random_numbers_as_they_are(points):
    updater = points.updater(changed(points.PLAIN, {"accumulate": 2}, **NETWORK))
    updater.update(0)
    torch.manual_seed(0)
    kept = {name: value.clone() for name, value in updater.inner.state_dict().items()}
    grads = {name: p.grad.clone() for name, p in updater.inner.named_parameters()}
    updater.backward.mean_gradient(1)
    assert all(value.equal(kept[name]) for name, value in updater.inner.state_dict().items())
    assert all(p.grad.equal(grads[name]) for name, p in updater.inner.named_parameters())
    updater.update(1)
    other = points.updater(changed(points.PLAIN, {"accumulate": 2}, **NETWORK))
    other.update(0)
    other.update(1)
    for name, value in other.inner.state_dict().items():
        assert value.equal(updater.inner.state_dict()[name]), name


@pytest.mark.parametrize("weighting", [MoDo(), AutoLambda()])
def test_it_is_that_of_all_draws_of_an_update(points, weighting):
    drawn = points.updater(changed(points.PLAIN, weighting=weighting))
    whole = points.updater(points.PLAIN)
    for step in range(3):
        one, other = drawn.backward.mean_gradient(step), whole.backward.mean_gradient(step)
        for mine, theirs in zip(one.values(), other.values(), strict=True):
            torch.testing.assert_close(mine, theirs)


def test_the_dropout_of_a_draw_is_that_of_its_part_of_the_update(points):
    """Each draw has its own; an update of three draws masks them as the rehearsals do."""
    updater = points.updater(changed(points.PLAIN, weighting=MoDo(), **NETWORK))
    masks = []
    dropout = next(m for m in updater.inner.model.modules() if isinstance(m, torch.nn.Dropout))
    dropout.register_forward_hook(lambda _, __, out: masks.append(out.detach() == 0))
    updater.backward.mean_gradient(0)
    first, masks[:] = list(masks), []
    updater.update(0)
    assert len(first) == len(masks) == 3
    assert all(mask.equal(again) for mask, again in zip(first, masks, strict=True))


def test_parameters_that_are_frozen_at_first_have_none(points):
    freeze = Freeze(parameters=("backbone",), epochs=1)
    updater = points.updater(changed(points.PLAIN, callbacks=(freeze,), weighting=CAGrad()))
    [state] = updater.callbacks
    heads = {p for n, p in updater.inner.model.named_parameters() if n.startswith("heads.")}
    opens = updater.batches.per_epoch
    assert set(state.run.mean_gradient(opens - 1)) == heads
    assert set(state.run.mean_gradient(opens)) == set(updater.inner.model.parameters())


@attrs.frozen(kw_only=True)
class Early(Freeze):
    """A callback that reads the gradient before there is an update."""

    def build(self, run):
        run.mean_gradient(0)


def test_there_is_none_before_the_first_update(points):
    with pytest.raises(AssemblyError, match=r"`mean_gradient` was called before the first update"):
        points.updater(changed(points.PLAIN, callbacks=(Early(),)))
