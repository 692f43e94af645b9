"""What cannot be divided among processes is refused when the recipe is read, with the reason."""

import importlib

import attrs
import pytest

from mtlkit.backbones import VectorFeatures
from mtlkit.callbacks import EMA, EarlyStopping, Freeze, GradientNoise
from mtlkit.data import ClassTarget
from mtlkit.errors import AssemblyError, RecipeError, RunError
from mtlkit.heads import Margin
from mtlkit.optim import SGD, NAdam, ScheduleFree, TimmOptimizer
from mtlkit.routers import MTAN
from mtlkit.testing import small_recipe
from mtlkit.weightings import MGDA, GradientLocation, PCGrad


@pytest.fixture
def sharded(points):
    return importlib.import_module("sharded")


HEAD = {
    "an optimizer by matrices": (
        {"optimizer": TimmOptimizer()},
        "optimizer: TimmOptimizer may need whole parameters or gradients, got a head with `shard`",
    ),
    "no rows": (
        {"optimizer": NAdam()},
        "tasks.who.head.lazy: NAdam cannot update single rows; use `sgd`, `adam` or `adamw`",
    ),
    "a scale of each process": (
        {"train": attrs.evolve(small_recipe().train, precision="fp16")},
        "train.precision: each process would skip other updates, got a head with `shard`",
    ),
    "the whole gradient": (
        {"callbacks": (GradientNoise(),)},
        "callbacks.0: GradientNoise needs whole parameters or gradients, got a head with `shard`",
    ),
}
BACKBONE = {
    "parameters": (
        {"weighting": PCGrad(at=GradientLocation.PARAMETERS)},
        "weighting.at: parameters needs whole parameters or gradients, got `train.shard: "
        "backbone`; use `at: features`",
    ),
    "the last layer": (
        {"weighting": MGDA(at=GradientLocation.LAST_SHARED_LAYER)},
        "weighting.at: last-shared-layer needs whole parameters or gradients",
    ),
    "parts": ({"router": MTAN()}, "router: MTAN uses parts of the backbone"),
    "an optimizer by matrices": ({"optimizer": TimmOptimizer()}, "optimizer: TimmOptimizer may"),
    "averages": ({"callbacks": (EarlyStopping(), EMA())}, "callbacks.1: EMA needs whole"),
    "recomputing": (
        {
            "train": attrs.evolve(
                small_recipe().train, shard="backbone", checkpoint_activations=True
            )
        },
        "train.checkpoint_activations: got true with `shard: backbone`",
    ),
    "freezing": ({"callbacks": (Freeze(),)}, "callbacks.0: Freeze needs whole parameters"),
}


@pytest.mark.parametrize("name", HEAD)
def test_a_divided_head_refuses(sharded, name):
    options, message = HEAD[name]
    recipe = attrs.evolve(sharded.with_head(shard=True, sample=0.5, lazy=True), **options)
    with pytest.raises(RecipeError) as caught:
        recipe.check()
    assert message in str(caught.value)


@pytest.mark.parametrize("name", BACKBONE)
def test_a_divided_backbone_refuses(sharded, points, name):
    options, message = BACKBONE[name]
    recipe = attrs.evolve(sharded.with_train(points.PLAIN, shard="backbone"), **options)
    with pytest.raises(RecipeError) as caught:
        recipe.check()
    assert message in str(caught.value)


def test_what_works_is_not_refused(sharded, points):
    for optimizer in (SGD(), ScheduleFree()):
        recipe = attrs.evolve(sharded.with_head(shard=True), optimizer=optimizer)
        assert attrs.evolve(recipe, callbacks=(EMA(), EarlyStopping())).problems() == []
    recipe = sharded.with_train(points.PLAIN, shard="backbone")
    assert attrs.evolve(recipe, callbacks=(EarlyStopping(),)).problems() == []


def test_branches_of_a_divided_head_are_refused(sharded, points):
    recipe = attrs.evolve(sharded.with_head(shard=True), router=points.GROUPED)
    messages = [str(problem) for problem in recipe.problems()]
    assert any("tasks.who.head.shard: got branches of this task" in text for text in messages)


def test_rows_alone_are_updated_only_if_they_are_drawn():
    with pytest.raises(ValueError, match="lazy: expected `shard: true` and a `sample` below 1"):
        Margin(lazy=True, shard=True)
    with pytest.raises(ValueError, match="lazy: expected `shard: true`"):
        Margin(lazy=True, sample=0.1)


def test_fewer_classes_than_blocks_are_refused():
    few = ClassTarget(names=("ann", "bob"))
    with pytest.raises(AssemblyError, match="got 2 classes, expected 64 or more"):
        Margin(shard=True).build(VectorFeatures(width=4), few)


def test_outputs_of_some_rows_are_refused():
    import torch

    from mtlkit.ops import RowShard

    names = tuple(map(str, range(100)))
    head = Margin(shard=True).build(VectorFeatures(width=4), ClassTarget(names=names))
    head.shard = RowShard(100, rank=1, world=2)
    head.directions = torch.nn.Parameter(torch.zeros(50, 4))
    with pytest.raises(RunError, match="got the classes 50 to 100 of 100, expected all"):
        head(torch.zeros(1, 4))
