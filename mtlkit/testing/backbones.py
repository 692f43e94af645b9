"""Checks of backbones, in addition to those of all modules."""

import torch

from mtlkit.backbones.base import BackboneModule, SplittableBackbone
from mtlkit.testing.check import BrokenPromiseError, Subject, checks, require
from mtlkit.testing.harness import harness_of


def returns_features_of_the_declared_width(subject: Subject) -> None:
    """It builds a BackboneModule that returns features (N, `features`) in float32."""
    harness = harness_of(subject)
    module = harness.seeded().eval()
    if not isinstance(module, BackboneModule):
        raise BrokenPromiseError(
            f"build returns a {type(module).__name__}; expected a BackboneModule"
        )
    for count in (1, 3):
        features = harness.outputs(module, harness.batch(count))
        shape, expected = tuple(features.shape), (count, int(module.features))
        require(shape == expected, f"features are {shape}, not {expected}")
        require(features.dtype == torch.float32, f"features are {features.dtype}, not float32")


def splits_into_stem_and_tail(subject: Subject) -> None:
    """If it is splittable, tail(stem(x)) equals forward(x), and a new tail has new weights."""
    harness = harness_of(subject)
    module, (inputs,) = harness.seeded().eval(), harness.batch(4)
    if not isinstance(module, SplittableBackbone):
        return
    with torch.no_grad():
        whole, parts = module(inputs), module.tail(module.stem(inputs))
    require(torch.equal(whole, parts), "tail(stem(x)) is not what forward computes")
    tail = module.new_tail()
    existing = {id(parameter) for parameter in module.parameters()}
    require(
        all(id(parameter) not in existing for parameter in tail.parameters()),
        "new_tail returns weights of the backbone",
    )
    width = tuple(tail.eval()(module.stem(inputs)).shape)
    require(width == tuple(whole.shape), f"a new tail returns {width}, not {tuple(whole.shape)}")


def accepts_channels_last(subject: Subject) -> None:
    """Channels-last inputs, which training uses, do not change the features."""
    harness = harness_of(subject)
    module, (inputs,) = harness.seeded().eval(), harness.batch(4)
    if inputs.dim() != 4:
        return
    with torch.no_grad():
        plain = module(inputs)
        last = module.to(memory_format=torch.channels_last)(
            inputs.contiguous(memory_format=torch.channels_last)
        )
    require(torch.allclose(plain, last, atol=1e-4, rtol=1e-3), "in channels last it differs")


def builds_the_same_tensors_when_blank(subject: Subject) -> None:
    """`blank` builds the same tensors, so that it can load a saved model."""
    shape = subject.example.sample_shape
    original = subject.value.build(shape).state_dict()
    blank = subject.value.blank().build(shape).state_dict()
    same = {name: value.shape for name, value in original.items()} == {
        name: value.shape for name, value in blank.items()
    }
    require(same, "`blank` builds tensors of other names or shapes")


CHECKS = checks(
    returns_features_of_the_declared_width,
    splits_into_stem_and_tail,
    accepts_channels_last,
    builds_the_same_tensors_when_blank,
)
