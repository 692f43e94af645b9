"""A hand-written loop with `mtlkit.balance` does what the recipe does, for every weighting."""

import importlib

import pytest

import mtlkit
from mtlkit.training.checkpoint import tensors_of
from mtlkit.weightings import CAGrad

UPDATES = 4

# nash-mtl without its bound
pytestmark = pytest.mark.filterwarnings("ignore:step .* the mean weight of:UserWarning")


@pytest.fixture
def loops(points):
    """The module, imported as every process of these tests imports it."""
    return importlib.import_module("loops")


def assert_same_bits(made, loop):
    for one, other in (
        (made.inner.model, loop.model),
        (made.inner.weighting, loop.balance.weighting),
    ):
        first, second = tensors_of(one), tensors_of(other)
        assert first.keys() == second.keys()
        different = [name for name in first if not first[name].equal(second[name])]
        assert not different, {n: (first[n] - second[n]).abs().max() for n in different}


def pair(points, loops, recipe):
    return points.updater(recipe), loops.Loop(recipe)


def both(made, loop, steps, **options):
    for step in steps:
        made.update(step)
        loop.update(step, **options)


def test_a_loop_ends_in_the_bits_of_the_recipe(points, loops, scheme):
    made, loop = pair(points, loops, loops.recipe_of(scheme))
    both(made, loop, range(UPDATES))
    assert_same_bits(made, loop)


def test_a_trainer_that_converts_modules_to_half_precision_does_not_round_the_weighting(
    points, loops, scheme
):
    made, loop = pair(points, loops, loops.recipe_of(scheme))
    loop.balance.bfloat16()
    both(made, loop, range(2))
    assert_same_bits(made, loop)


def test_mean_losses_do_the_same_and_a_task_without_labels_is_left_out(points, loops, scheme):
    if scheme.reads_features:
        return  # refused, see below
    made, loop = pair(
        points, loops, loops.recipe_of(scheme, batch=12)
    )  # some without the label `rare`
    both(made, loop, range(UPDATES), reduce=True)
    assert_same_bits(made, loop)


def test_micro_batches_do_the_same(points, loops, scheme):
    if isinstance(scheme, loops.DRAWN):
        return
    made, loop = pair(points, loops, loops.recipe_of(scheme, batch=18, accumulate=3))
    both(made, loop, range(2))
    assert_same_bits(made, loop)


def test_a_state_that_is_saved_and_loaded_goes_to_the_same_bits(points, loops, scheme):
    recipe = loops.recipe_of(scheme)
    made, loop = pair(points, loops, recipe)
    both(made, loop, range(3))
    other = loops.Loop(recipe)
    other.model.load_state_dict(loop.model.state_dict())
    other.balance.load_state_dict(loop.balance.state_dict())
    other.optimizer.load_state_dict(loop.optimizer.state_dict())
    both(made, other, range(3, 5))
    assert_same_bits(made, other)


def test_a_loop_ends_in_the_bits_of_mtlkit_fit(points, loops, tmp_path):
    recipe = loops.recipe_of(CAGrad(c=0.4), epochs=1)
    run = mtlkit.fit(recipe, tmp_path / "run", catalog=points.catalog(), quiet=True, report=False)
    loop = loops.Loop(recipe)
    for step in range(loop.batches.per_epoch):
        loop.update(step)
    fitted, trained = (
        mtlkit.load_model(run.path, catalog=points.catalog()).network.state_dict(),
        loop.model.state_dict(),
    )
    assert all(trained[name].equal(value) for name, value in fitted.items())
