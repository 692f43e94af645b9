"""Checks of transforms: the same numbers give the same sample, and labels stay valid."""

from collections.abc import Iterator

import attrs
import torch
from torch import Tensor

from mtlkit.errors import DataError
from mtlkit.targets.base import Target
from mtlkit.testing.check import Subject, checks_of, require
from mtlkit.testing.labels import EXAMPLES, draw_labels, without_some
from mtlkit.transforms.draw import Draw
from mtlkit.transforms.sample import Sample

FRAME = (24, 32)
SEEDS = range(8)
SAMPLES = 4


def declares_whether_it_is_random(subject: Subject) -> None:
    """Its class declares whether it draws random numbers."""
    value = getattr(subject.kind, "is_random", None)
    require(isinstance(value, bool),
            f"{subject.kind.__name__}.is_random is {value!r}; expected True or False")  # fmt: skip


def transforms_classes(subject: Subject) -> None:
    """It transforms a sample with a class; it may refuse other targets with a DataError.

    A transform with the target of its example transforms this target.
    """
    kinds = {type(sample.targets["task"]).__name__ for sample in _accepted(subject)}
    expected = type(subject.example.target or EXAMPLES[0])
    require(expected.__name__ in kinds,
            f"it refuses a sample with {expected.noun}; expected a transformed one")  # fmt: skip


def repeats_its_numbers(subject: Subject) -> None:
    """The same numbers give the same sample."""
    for sample in _accepted(subject):
        for seed in SEEDS:
            one, other = (_applied(subject, sample, seed) for _ in range(2))
            require(_same(one, other), f"the seed {seed} gives different samples in two calls")


def draws_no_numbers_unless_random(subject: Subject) -> None:
    """If it declares no random numbers, other numbers give the same sample."""
    if subject.value.is_random:
        return
    for sample in _accepted(subject):
        first, *others = (_applied(subject, sample, seed) for seed in SEEDS)
        require(all(_same(first, other) for other in others),
                "other random numbers change the sample; declare is_random = True")  # fmt: skip


def leaves_its_sample_unchanged(subject: Subject) -> None:
    """The tensors of its argument are not changed in place."""
    for sample in _accepted(subject):
        assert isinstance(sample.inputs, Tensor)
        before = sample.inputs.clone(), sample.labels["task"].clone()
        for seed in SEEDS:
            _applied(subject, sample, seed)
            after = sample.inputs, sample.labels["task"]
            require(all(map(_equal, before, after)), "it changes its sample in place; copy first")


def returns_valid_labels(subject: Subject) -> None:
    """Labels keep their tasks, their type and the size of the image."""
    for sample in _accepted(subject):
        target = sample.targets["task"]
        for seed in SEEDS:
            result = _applied(subject, sample, seed)
            require([*result.labels] == ["task"], f"the tasks are {[*result.labels]}, not ['task']")
            labels = result.labels["task"].unsqueeze(0)
            try:
                target.check(labels)
            except DataError as cause:
                require(False, f"labels of {type(target).__name__}: {cause}")
            if target.dims > 2:
                size = tuple(labels.shape[-2:])
                kind = type(target).__name__
                require(size == result.frame, f"labels of {kind} are {size}, not {result.frame}")


def keeps_one_size(subject: Subject) -> None:
    """Every draw gives images of the same size, with the type and channels of its input."""
    for sample in _accepted(subject):
        results = [_applied(subject, sample, seed).inputs for seed in SEEDS]
        sizes = {tuple(image.shape) for image in results if isinstance(image, Tensor)}
        require(len(sizes) == 1, f"images have the sizes {sorted(sizes)}; expected one")
        first = results[0]
        assert isinstance(first, Tensor)
        require(first.dtype == torch.uint8 and len(first) == 3,
                f"8-bit RGB images become {first.dtype} of {len(first)} channels")  # fmt: skip


def _accepted(subject: Subject) -> Iterator[Sample]:
    """Yield a sample of each type of target that the transform accepts."""
    given = subject.example.target
    for target in EXAMPLES if given is None else (given,):
        sample = _sample(target, 0)
        try:
            for seed in SEEDS:
                _applied(subject, sample, seed)
        except DataError:
            continue
        yield sample


def _sample(target: Target, number: int) -> Sample:
    generator = torch.Generator().manual_seed(number)
    image = torch.randint(256, (3, *FRAME), dtype=torch.uint8, generator=generator)
    labels = without_some(target, draw_labels(target, SAMPLES, frame=FRAME))
    return Sample(image, {"task": labels[number]}, {"task": target})


def _applied(subject: Subject, sample: Sample, seed: int) -> Sample:
    def other(draw: Draw) -> Sample:
        return _sample(sample.targets["task"], draw.integer(1, SAMPLES - 1))

    result: Sample = subject.value.apply(attrs.evolve(sample), Draw(seed, other))
    return result


def _same(one: Sample, other: Sample) -> bool:
    assert isinstance(one.inputs, Tensor)
    assert isinstance(other.inputs, Tensor)
    return _equal(one.inputs, other.inputs) and _equal(one.labels["task"], other.labels["task"])


def _equal(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.allclose(one, other, rtol=0, atol=0, equal_nan=True)


CHECKS = checks_of(__name__)
