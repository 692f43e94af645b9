"""Checks of backbones, in addition to those of all modules."""

from typing import Any

import torch
from torch import Tensor

from mtlkit.backbones.base import BackboneModule, SplittableBackbone
from mtlkit.features.base import FeatureSpec
from mtlkit.features.inputs import Batch
from mtlkit.features.maps import MapFeatures
from mtlkit.features.tokens import MASK
from mtlkit.testing.check import Subject, checks_of, require, require_type
from mtlkit.testing.harness import harness_of


def returns_the_declared_features(subject: Subject) -> None:
    """It builds a BackboneModule that returns features as `features` describes, in float32."""
    harness = harness_of(subject)
    module: Any = harness.seeded().eval()
    require_type(module, BackboneModule, "build")
    given = subject.value.gives
    require(
        isinstance(module.features, given),
        f"`features` are {type(module.features).__name__}, `gives` declares {given.__name__}",
    )
    for count in (1, 3):
        [inputs] = harness.batch(count)
        features = module(inputs)
        mismatch = module.features.mismatch(features, count)
        require(mismatch is None, f"{mismatch}")
        _require_stride(module.features, features, inputs)
        pooled = tuple(module.features.pool(features, module.context(inputs)).shape)
        expected = (count, module.features.width)
        require(pooled == expected, f"pooled with `context`, features are {pooled}, not {expected}")
        require(features.dtype == torch.float32, f"features are {features.dtype}, not float32")


def _require_stride(spec: FeatureSpec, features: Tensor, inputs: Batch) -> None:
    """Raise `BrokenPromiseError` if maps of images do not have the declared stride."""
    if isinstance(spec, MapFeatures) and isinstance(inputs, Tensor) and inputs.dim() == 4:
        sides, images = tuple(features.shape[2:]), tuple(inputs.shape[2:])
        require(
            all(abs(side * spec.stride - pixels) < spec.stride * 2
                for side, pixels in zip(sides, images, strict=True)),
            f"maps of images {images} are {sides}, `features` declares the stride {spec.stride}",
        )  # fmt: skip


def ignores_padding(subject: Subject) -> None:
    """Padding does not change the features of tokens."""
    harness = harness_of(subject)
    module, (inputs,) = harness.seeded().eval(), harness.batch(4)
    mask = module.context(inputs).get(MASK) if isinstance(module, BackboneModule) else None
    if mask is None:
        return
    changed = {
        name: torch.where(mask, values, values.flip(0))
        if values.shape == mask.shape and values.dtype != torch.bool
        else values
        for name, values in inputs.items()
    }
    with torch.no_grad():
        before, after = module(inputs)[mask], module(changed)[mask]
    require(torch.allclose(before, after, atol=1e-5), "padding changes the features of tokens")


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
    require(
        set(module.parameters()).isdisjoint(tail.parameters()),
        "new_tail returns weights of the backbone",
    )
    width = tuple(tail.eval()(module.stem(inputs)).shape)
    require(width == tuple(whole.shape), f"a new tail returns {width}, not {tuple(whole.shape)}")


def accepts_channels_last(subject: Subject) -> None:
    """Channels-last inputs, which training uses, do not change the features."""
    harness = harness_of(subject)
    module, (inputs,) = harness.seeded().eval(), harness.batch(4)
    if not isinstance(inputs, Tensor) or inputs.dim() != 4:
        return
    with torch.no_grad():
        plain = module(inputs)
        last = module.to(memory_format=torch.channels_last)(
            inputs.contiguous(memory_format=torch.channels_last)
        )
    require(torch.allclose(plain, last, atol=1e-4, rtol=1e-3), "in channels last it differs")


def builds_the_same_tensors_when_blank(subject: Subject) -> None:
    """`blank` builds the same tensors, so that it can load a saved model."""
    inputs = subject.example.inputs
    original = subject.value.build(inputs).state_dict()
    blank = subject.value.blank().build(inputs).state_dict()
    same = {name: value.shape for name, value in original.items()} == {
        name: value.shape for name, value in blank.items()
    }
    require(same, "`blank` builds tensors of other names or shapes")


CHECKS = checks_of(__name__)
