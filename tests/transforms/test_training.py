"""Transforms in training and evaluation: the same numbers at any rank count and after a restart."""

import itertools
from functools import partial

import attrs
import pytest
import torch

from mtlkit.data import (
    CenterCrop,
    Crop,
    Data,
    Erase,
    Labels,
    Mirror,
    Mixup,
    RealMapTarget,
    Resize,
    Split,
)
from mtlkit.data.pipeline import Pipeline
from mtlkit.data.source import Loading
from mtlkit.data.transformed import TransformedSplit, source_of, transformed_data
from mtlkit.errors import DataError
from mtlkit.recipe import Transforms
from mtlkit.runs.run_data import load_data
from mtlkit.testing import small_recipe
from mtlkit.testing.small_data import small_updater
from mtlkit.training.batching.batch_order import JointOrder
from mtlkit.training.batching.batches import Batches, sample_seed
from mtlkit.training.checkpoint import tensors_of
from mtlkit.training.optimization.optimizer_state import optimizer_state, restore_optimizer
from tests.transforms.scene import TARGETS, Scene

SWAP = {"side": {}}
RANDOM = Transforms(train=(Mirror(swap=SWAP), Crop(size=16, padding=2), Erase()))


def scenes(count=10):
    samples = [attrs.evolve(Scene(), size=(20, 24)).render(20 + n).labels for n in range(count)]
    inputs = torch.randint(256, (count, 3, 20, 24), dtype=torch.uint8)
    return inputs, {task: torch.stack([labels[task] for labels in samples]) for task in TARGETS}


def test_samples_do_not_depend_on_ranks_and_micro_batches():
    inputs, labels = scenes()
    swap = {"parts": {"left ball": "right ball"}}
    transforms = (Mirror(swap=swap), Crop(size=16), Erase())
    pipeline = Pipeline(transforms, inputs, labels, TARGETS)

    def epoch_of(world, accumulate):
        parts = {}
        for step, rank in itertools.product((2, 3), range(world)):  # the second epoch
            update = Batches(JointOrder(10, 5, seed=3), world=world, accumulate=accumulate).update(
                step, rank
            )
            seed = partial(sample_seed, 3, update.epoch)
            for index in update.micro_batches:
                images, changed = pipeline.batch(index, seed)
                parts |= zip(
                    index.tolist(), zip(images, changed["depth"], strict=True), strict=True
                )
        return parts

    whole, divided = epoch_of(1, 1), epoch_of(2, 2)
    assert sorted(whole) == sorted(divided) == list(range(10))
    for sample, (image, depth) in whole.items():
        assert torch.equal(image, divided[sample][0])
        assert torch.equal(depth, divided[sample][1])


def test_each_epoch_and_each_sample_has_its_own_numbers():
    seeds = {sample_seed(*key) for key in itertools.product((0, 1), repeat=4)}
    assert len(seeds) == 16


def test_a_partner_has_had_the_earlier_transforms():
    inputs, _ = scenes()
    pipeline = Pipeline((Resize(size=8), Mixup(alpha=1.0)), inputs, {}, {})
    mixed, _ = pipeline.batch(torch.arange(10), lambda sample, place: sample)
    assert mixed.shape == (10, 3, 8, 8)


def trained(updater, steps):
    for step in steps:
        updater.update(step)
    return tensors_of(updater.inner)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_run_that_resumes_in_an_epoch_ends_with_the_same_bits(accumulate):
    recipe = attrs.evolve(small_recipe(), transforms=RANDOM)
    recipe = attrs.evolve(recipe, train=attrs.evolve(recipe.train, accumulate=accumulate))
    whole = trained(small_updater(recipe), range(5))
    stopped, resumed = small_updater(recipe), small_updater(recipe)
    state = trained(stopped, range(3))
    resumed.inner.load_state_dict(state)
    restore_optimizer(resumed.optimizer, optimizer_state(stopped.optimizer))
    after = trained(resumed, range(3, 5))
    assert all(torch.equal(values, after[name]) for name, values in whole.items())
    plain = trained(small_updater(attrs.evolve(recipe, transforms=Transforms())), range(5))
    assert any(not torch.equal(values, plain[name]) for name, values in whole.items())


def test_counts_are_those_of_the_transformed_labels():
    """A crop without room leaves pixels without labels, which must not count."""
    inputs, labels = scenes()
    pipeline = Pipeline((Crop(size=(24, 28), padding=2),), inputs, labels, TARGETS)
    _, cropped = pipeline.batch(torch.arange(10), lambda sample, place: sample)
    weights = TARGETS["depth"].weights(cropped["depth"])
    assert weights.tolist() == [20.0 * 24] * 10


def test_evaluation_reads_inputs_and_maps_after_the_test_transforms():
    inputs, labels = scenes()
    column = Labels(RealMapTarget(quantity="depth"), labels["depth"])
    split = Split(inputs=inputs, columns={"depth": column}, ids=[str(n) for n in range(10)])
    data = Data(train=split, test=split.subset(torch.arange(4)))
    seen = transformed_data(data, (CenterCrop(size=(16, 20)),), ["depth"])
    index = torch.tensor([3, 1])
    assert torch.equal(seen.test.inputs[index], inputs[index][:, :, 2:18, 2:22])
    assert torch.equal(seen.test.columns["depth"][index], labels["depth"][index][:, :, 2:18, 2:22])
    assert seen.input_specs.shape == (3, 16, 20)
    assert source_of(seen.train) is split
    some = seen.train.subset(torch.tensor([5, 6]))
    assert isinstance(some, TransformedSplit)
    assert torch.equal(some.inputs[torch.tensor([1])], inputs[[6]][:, :, 2:18, 2:22])
    assert transformed_data(data, (), ["depth"]) is data


def test_the_network_is_built_for_the_size_after_the_test_transforms():
    recipe = attrs.evolve(small_recipe(), transforms=Transforms(test=(Resize(size=8),)))
    assert load_data(recipe, Loading()).input_specs.shape == (1, 8, 8)


def test_training_samples_of_another_size_than_in_evaluation_are_refused():
    recipe = attrs.evolve(small_recipe(), transforms=Transforms(train=(Resize(size=8),)))
    with pytest.raises(DataError) as raised:
        small_updater(recipe).update(0)
    assert str(raised.value) == (
        "transforms.train: inputs: got uint8 of shape (1, 8, 8), expected uint8 of shape "
        "(1, 16, 16), as after `transforms.test`; end both lists with one size"
    )
