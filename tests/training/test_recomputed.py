"""Activation checkpointing: the same bits, less memory, and what is recomputed."""

import copy

import attrs
import pytest
import torch
from torch import nn

import mtlkit
from mtlkit.backbones import TimmModel, UNet
from mtlkit.errors import AssemblyError, RecipeError
from mtlkit.recipe import Train
from mtlkit.training.checkpoint import tensors_of
from mtlkit.training.devices.recomputed import _blocks, recompute_activations
from mtlkit.weightings import MGDA, Equal, GradientLocation


def updaters(points, recipe):
    for on in (False, True):
        train = attrs.evolve(recipe.train, checkpoint_activations=on, batch=8)
        yield points.updater(attrs.evolve(recipe, train=train))


def updates(made, count=2):
    for step in range(count):
        made.update(step)
    return tensors_of(made.inner)


VECTORS = {
    "mlp": lambda points: points.MLP(hidden=(8, 8, 8, 8, 8), dropout=0.3),
    "casia-net": lambda points: points.CasiaNet(width=0.05, dropout=0.3),
    "resnet": lambda _: TimmModel(model="resnet10t", dropout=0.1),
    "vit": lambda _: TimmModel(model="test_vit", dropout=0.1),
}


@pytest.mark.parametrize("at", [None, *GradientLocation], ids=lambda at: getattr(at, "value", at))
@pytest.mark.parametrize("name", ["mlp", "casia-net", "resnet", "vit"])
def test_updates_have_the_same_bits(points, name, at):
    weighting = Equal() if at is None else MGDA(at=at)
    recipe = attrs.evolve(points.PLAIN, backbone=VECTORS[name](points), weighting=weighting)
    plain, recomputed = (updates(made) for made in updaters(points, recipe))
    different = [name for name, value in plain.items() if not value.equal(recomputed[name])]
    assert not different  # running means of batch norm are among them


@pytest.mark.parametrize(
    "backbone",
    [UNet(channels=4, depth=2), TimmModel(model="resnet10t", features="map")],
    ids=lambda backbone: type(backbone).__name__,
)
def test_maps_have_the_same_bits(points, backbone):
    recipe = attrs.evolve(points.DENSE, backbone=backbone)
    if isinstance(backbone, TimmModel):
        tasks = {name: task for name, task in recipe.tasks.items() if task.adapter is not None}
        recipe = attrs.evolve(recipe, tasks=tasks)
    plain, recomputed = (updates(made, 1) for made in updaters(points, recipe))
    assert all(value.equal(recomputed[name]) for name, value in plain.items())


def test_a_whole_run_has_the_same_bits(points, tmp_path):
    runs = []
    for on in (False, True):
        train = attrs.evolve(points.PLAIN.train, checkpoint_activations=on, epochs=1)
        recipe = attrs.evolve(points.PLAIN, backbone=points.CasiaNet(width=0.05), train=train)
        runs.append(mtlkit.fit(recipe, tmp_path / str(on), catalog=points.catalog(), quiet=True))
    one, other = ((run.path / "model.safetensors").read_bytes() for run in runs)
    assert one == other


def kept_bytes(made):
    """Bytes of the activations that are kept between forward and backward pass."""
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    model = made.inner.model
    images = torch.randint(0, 256, (16, 1, 32, 32), dtype=torch.uint8)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        features = model.features(images).shared
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    del features
    return sum(size for pointer, size in kept.items() if pointer not in weights)


@pytest.mark.parametrize("name", ["casia-net", "resnet", "vit"])
def test_fewer_activations_are_kept(points, name):
    recipe = attrs.evolve(points.PLAIN, backbone=VECTORS[name](points))
    plain, recomputed = map(kept_bytes, updaters(points, recipe))
    assert recomputed < 0.6 * plain


@pytest.mark.parametrize(
    ("model", "block"),
    [("resnet10t", "BasicBlock"), ("test_vit", "Block"), ("test_convnext", "ConvNeXtBlock")],
)
def test_the_blocks_of_timm_are_those_of_its_stages(model, block):
    import timm

    assert {type(result).__name__ for result in _blocks(timm.create_model(model))} == {block}


def test_a_copy_recomputes_by_its_own_weights(points):
    recipe = attrs.evolve(points.PLAIN, backbone=points.MLP(hidden=(8, 8)))
    *_, made = updaters(points, recipe)
    model = made.inner.model
    again = copy.deepcopy(model)
    for parameter in model.parameters():
        parameter.data.zero_()
    inputs = made.context.data.train.inputs[torch.arange(3)]
    assert again.features(inputs).shared.any()
    assert not model.features(inputs).shared.any()


class InPlace(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, inputs):
        return self.two(self.one(inputs.mul_(2)))


def test_a_block_that_changes_its_input_is_refused(points):
    made = points.updater(attrs.evolve(points.PLAIN, backbone=points.MLP(hidden=(8, 8))))
    model = made.inner.model
    model.router.backbone.layers = nn.Sequential(InPlace(), InPlace())
    recompute_activations(model)
    with pytest.raises(AssemblyError, match="InPlace changes its input in place"):
        model.router.backbone.layers(torch.ones(2, 4))


def test_it_is_refused_with_a_compiled_backbone(points):
    train = Train(compile=True, checkpoint_activations=True)
    with pytest.raises(RecipeError, match=r"train\.checkpoint_activations.*use one of them"):
        attrs.evolve(points.PLAIN, train=train).check()
