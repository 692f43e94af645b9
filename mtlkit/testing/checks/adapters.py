"""Checks of adapters, in addition to those of all modules."""

import torch

from mtlkit.adapters.base import AdapterModule
from mtlkit.features.base import FeatureSpec
from mtlkit.testing.check import Subject, checks_of, require, require_type
from mtlkit.testing.small_features import SPECS, random_features


def declares_its_kinds(subject: Subject) -> None:
    """Its class declares the kinds of features that it reads and the kind that it returns."""
    kinds = (*getattr(subject.kind, "reads", ()), getattr(subject.kind, "gives", None))
    require(
        len(kinds) > 1
        and all(isinstance(kind, type) and issubclass(kind, FeatureSpec) for kind in kinds),
        f"`reads` and `gives` are {kinds}; expected subclasses of FeatureSpec",
    )


def returns_the_declared_features(subject: Subject) -> None:
    """From every kind that it reads, it returns features as its `features` describes."""
    for kind, spec in SPECS.items():
        if not issubclass(kind, subject.value.reads):
            continue
        module = subject.value.build(spec).eval()
        require_type(module, AdapterModule, "build")
        require(
            isinstance(module.features, subject.value.gives),
            f"`features` are {type(module.features).__name__}, `gives` declares "
            f"{subject.value.gives.__name__}",
        )
        for count in (1, 3):
            features, context = random_features(spec, count)
            mismatch = module.features.mismatch(module(features, context), count)
            require(mismatch is None, f"of {kind.kind}, {mismatch}")


def has_finite_gradients(subject: Subject) -> None:
    """The gradient at the features that it reads is finite and not everywhere 0."""
    for kind, spec in SPECS.items():
        if not issubclass(kind, subject.value.reads):
            continue
        module = subject.value.build(spec).train()
        features, context = random_features(spec, 4)
        features.requires_grad_()
        torch.autograd.backward(module(features, context).square().sum())
        gradient = features.grad
        require(
            gradient is not None and bool(gradient.isfinite().all() and (gradient != 0).any()),
            f"the gradient at {kind.kind} is 0 or not finite",
        )


CHECKS = checks_of(__name__)
