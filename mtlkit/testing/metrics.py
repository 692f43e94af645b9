"""Checks of metrics: a declared scale, and a value that depends only on the samples."""

import math
import pickle
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from mtlkit.metrics.base import Metric, MetricState, is_present
from mtlkit.targets.base import Target
from mtlkit.targets.class_label import ClassTarget
from mtlkit.task_types import MISSING
from mtlkit.testing.check import Subject, checks, require
from mtlkit.testing.head_batches import CLASSES, target_of
from mtlkit.testing.heads import require_targets

SAMPLES = 41
TOLERANCE = 1e-6
"""Relative difference of two sums of the same values in different orders; float32 exceeds it."""

Batch = tuple[Tensor, Tensor]


def declares_its_scale(subject: Subject) -> None:
    """It declares a name, the types of targets it measures, its direction, unit and bounds."""
    metric, kind = subject.value, subject.kind.__name__
    require(isinstance(metric.name, str) and bool(metric.name) and "/" not in metric.name,
            f"the name is {metric.name!r}; expected text without '/'")  # fmt: skip
    require_targets(subject)
    direction = getattr(metric, "higher_is_better", None)
    require(isinstance(direction, bool),
            f"{kind}.higher_is_better is {direction!r}; expected True or False")  # fmt: skip
    unit = getattr(metric, "unit", None)
    require(isinstance(unit, str), f"{kind}.unit is {unit!r}; expected text")
    low, high = metric.bounds
    require(low < high, f"{kind}.bounds are {low} and {high}; expected the lowest first")


def computes_a_number_within_its_bounds(subject: Subject) -> None:
    """Its value is a finite float within its bounds."""
    low, high = subject.value.bounds
    for outputs, target in _examples(subject.value):
        value = _value(subject.value, [(outputs, target)])
        require(type(value) is float, f"compute returns a {type(value).__name__}; expected a float")
        assert value is not None
        require(math.isfinite(value), f"its value is {value}")
        require(low <= value <= high, f"its value {value} is outside {low} to {high}")


def prefers_right_outputs(subject: Subject) -> None:
    """Outputs that agree with the targets score better, in the direction that it declares."""
    for kind in subject.value.targets:
        _, target = _example(kind)
        right, wrong = _outputs(kind, target), _outputs(kind, target.roll(1) + 1)
        good, bad = (_value(subject.value, [(outputs, target)]) for outputs in (right, wrong))
        assert good is not None
        assert bad is not None
        better = good > bad if subject.value.higher_is_better else good < bad
        word = "higher" if subject.value.higher_is_better else "lower"
        require(better, f"right outputs score {good:g}, wrong ones {bad:g}; {word} is better")


def ignores_missing_targets(subject: Subject) -> None:
    """A missing target does not change the value; without any target the value is None."""
    for outputs, target in _examples(subject.value):
        present = is_present(target)
        _require_same(
            _value(subject.value, [(outputs, target)]),
            _value(subject.value, [(outputs[present], target[present])]),
            "a missing target changes its value",
        )
        alone = _value(subject.value, [(outputs[~present], target[~present])])
        require(alone is None, f"without any target its value is {alone}; expected None")
        empty = _value(subject.value, [])
        require(empty is None, f"before any batch its value is {empty}; expected None")


def ignores_the_order_of_samples(subject: Subject) -> None:
    """Samples in another order give the same value."""
    order = torch.randperm(SAMPLES, generator=torch.Generator().manual_seed(2))
    for outputs, target in _examples(subject.value):
        whole = _value(subject.value, _batches(outputs, target, (10, 31)))
        other = _value(subject.value, _batches(outputs[order], target[order], (10, 31)))
        _require_same(whole, other, "in another order its value differs")


def ignores_the_division_into_batches(subject: Subject) -> None:
    """Batches of any size, including an empty one, give the value of a single batch."""
    for outputs, target in _examples(subject.value):
        whole = _value(subject.value, [(outputs, target)])
        parts = _value(subject.value, _batches(outputs, target, (1, 0, 7, 33)))
        _require_same(whole, parts, "in other batches its value differs")


def merges_over_ranks(subject: Subject) -> None:
    """Pickled states of several ranks, one of them empty, merge to the state of one rank."""
    for outputs, target in _examples(subject.value):
        states = [
            _state(subject.value, [(outputs[part], target[part])])
            for part in (slice(0, 10), slice(10, 10), slice(10, 20))
        ]
        first, *others = pickle.loads(pickle.dumps(states))
        for other in others:
            first.merge(other)
        whole = _value(subject.value, [(outputs[:20], target[:20])])
        _require_same(whole, first.compute(), "merged states differ from one state")


def _examples(metric: Metric) -> Iterator[Batch]:
    """Yield outputs and labels for each type of target, some outputs wrong, some labels missing."""
    return (_example(kind) for kind in metric.targets)


def _example(kind: type[Target]) -> Batch:
    generator = torch.Generator().manual_seed(1)
    missing = torch.arange(SAMPLES) % 4 == 3
    if kind is ClassTarget:
        target = torch.randint(len(CLASSES), (SAMPLES,), generator=generator)
        outputs = _outputs(kind, target) + torch.randn(SAMPLES, 3, generator=generator)
        return outputs, torch.where(missing, MISSING, target)
    target = torch.randn(SAMPLES, generator=generator) * 3 + 20
    outputs = target + torch.randn(SAMPLES, generator=generator)
    return outputs, torch.where(missing, torch.nan, target)


def _outputs(kind: type[Target], target: Tensor) -> Tensor:
    """Return outputs that agree with `target`: logits (N, C) of classes, or the values (N,)."""
    if kind is ClassTarget:
        return torch.nn.functional.one_hot(target % len(CLASSES), len(CLASSES)).float()
    return target.nan_to_num(20.0)


def _batches(outputs: Tensor, target: Tensor, sizes: Sequence[int]) -> list[Batch]:
    return list(
        zip(torch.split(outputs, list(sizes)), torch.split(target, list(sizes)), strict=True)
    )


def _state(metric: Metric, batches: Sequence[Batch]) -> MetricState:
    state = metric.build(target_of(metric.targets))
    for outputs, target in batches:
        state.update(outputs.clone(), target.clone())
    return state


def _value(metric: Metric, batches: Sequence[Batch]) -> float | None:
    return _state(metric, batches).compute()


def _require_same(one: float | None, other: float | None, message: str) -> None:
    if one is None or other is None:
        require(one is other, f"{message}: {one} and {other}")
    else:
        require(math.isclose(one, other, rel_tol=TOLERANCE), f"{message}: {one} and {other}")


CHECKS = checks(
    declares_its_scale,
    computes_a_number_within_its_bounds,
    prefers_right_outputs,
    ignores_missing_targets,
    ignores_the_order_of_samples,
    ignores_the_division_into_batches,
    merges_over_ranks,
)
