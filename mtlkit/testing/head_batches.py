"""Features and labels of every kind, for checks of heads and targets."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mtlkit.errors import MtlkitError
from mtlkit.features.base import FeatureSpec
from mtlkit.features.maps import MapFeatures
from mtlkit.heads.base import HeadModule
from mtlkit.targets.base import Target
from mtlkit.targets.class_label import ClassTarget
from mtlkit.targets.codes import CodedTarget
from mtlkit.targets.multi_label import MultiLabelTarget
from mtlkit.targets.numbers import RealTarget
from mtlkit.targets.real_map import RealMapTarget
from mtlkit.targets.unit_vector_map import UnitVectorMapTarget
from mtlkit.targets.vector import VectorTarget
from mtlkit.testing.check import Example
from mtlkit.testing.labels import example_of, without_some
from mtlkit.testing.small_features import SPECS, random_features

Signal = Tensor
"""Numbers (N, H, W), (N, L) or (N,) from which labels follow, at the positions of the labels."""


def features_of(example: Example) -> FeatureSpec:
    """Return the features that the example of a head or an adapter reads; by default small ones."""
    reads = example.value.reads
    return example.features or next(s for kind, s in SPECS.items() if issubclass(kind, reads))


def target_of(example: Example) -> Target:
    """Return the target that the example of a head predicts; by default that of its first type."""
    return example.target or example_of(example.value.targets[0])


def new_head(example: Example) -> HeadModule:
    """Build the head for small features, fitted to the labels of 64 samples."""
    module: HeadModule = example.value.build(features_of(example), target_of(example))
    module.fit_targets(head_batch(example, 64)[1])
    return module


def head_batch(example: Example, count: int) -> tuple[Tensor, Tensor]:
    """Return features and labels of `count` samples, which depend on the first feature.

    Every fourth sample has no label, and every fifth element of the others is missing.
    """
    spec = features_of(example)
    features, _ = random_features(spec, count)
    signal = spec.rows(features)[..., 0]
    if isinstance(spec, MapFeatures):
        signal = signal.repeat_interleave(spec.stride, 1).repeat_interleave(spec.stride, 2)
    if example.labels is not None:
        return features, example.labels[:count]
    target = target_of(example)
    return features, without_some(target, labels_from(target, signal))


def labels_of(target: Target, count: int, given: Tensor | None = None) -> Tensor:
    """Return labels (N, ...) of `target`: random ones, some missing, or the first of `given`."""
    if given is not None:
        return given[:count]
    shape = {1: (count,), 2: (count,), 3: (count, 4, 4), 4: (count, 4, 4)}[target.dims]
    if target.dims == 2 and not isinstance(target, MultiLabelTarget | VectorTarget):
        shape = (count, 5)
    signal = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    return without_some(target, labels_from(target, signal))


def labels_from(target: Target, signal: Signal) -> Tensor:
    """Return labels that follow from `signal`, none missing."""
    match target:
        case MultiLabelTarget():
            levels = torch.linspace(-0.5, 0.5, len(target.names))
            return (signal.unsqueeze(1) > levels).long()
        case ClassTarget():
            return (signal * 10).long() % target.codes
        case CodedTarget():
            return (signal > 0).long()
        case VectorTarget():
            return signal.unsqueeze(1) * torch.arange(1.0, len(target.names) + 1) + 5
        case RealMapTarget():
            return (signal.tanh().unsqueeze(1) + 2).repeat(1, target.channels, 1, 1)
        case UnitVectorMapTarget():
            parts = [signal, torch.ones_like(signal), torch.zeros_like(signal)]
            return F.normalize(torch.stack(parts, dim=1), dim=1)
        case RealTarget():
            return signal * 2 + 5
    raise MtlkitError(f"{type(target).__name__}: give labels: `Example(labels=...)`")
