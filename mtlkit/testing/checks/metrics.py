"""Checks of metrics: a declared scale, and a value that depends only on the samples."""

import math
import pickle
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from mtlkit.metrics.base import Metric, MetricState
from mtlkit.targets.base import Target
from mtlkit.testing.check import Subject, checks_of, require
from mtlkit.testing.checks.heads import require_targets
from mtlkit.testing.labels import (
    draw_labels,
    example_of,
    noisy_outputs,
    right_outputs,
    spread,
    without_some,
    wrong_outputs,
)

SAMPLES = 41
TOLERANCE = 1e-6
"""Relative difference of two sums of the same values in different orders; float32 exceeds it."""

Batch = tuple[Tensor, Tensor]


def declares_its_scale(subject: Subject) -> None:
    """It declares a name, the types of targets it measures, its direction, unit and bounds."""
    metric, kind = subject.value, subject.kind.__name__
    require(isinstance(metric.name, str) and bool(metric.name) and "/" not in metric.name,
            f"the name is {metric.name!r}; expected text without '/'")  # fmt: skip
    require_targets(subject.kind)
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
    for target, outputs, labels in _examples(subject):
        value = _value(subject.value, target, [(outputs, labels)])
        require(type(value) is float, f"compute returns a {type(value).__name__}; expected a float")
        assert value is not None
        require(math.isfinite(value), f"its value is {value}")
        require(low <= value <= high, f"its value {value} is outside {low} to {high}")


def names_its_parts(subject: Subject) -> None:
    """Its parts are finite floats within its bounds, named for a class, label or component."""
    low, high = subject.value.bounds
    for target, outputs, labels in _examples(subject):
        parts = _state(subject.value, target, [(outputs, labels)]).parts()
        names = (*target.classes, *target.components)
        for name, value in parts.items():
            require(name in names, f"it has a part {name!r}; expected one of {', '.join(names)}")
            require(
                type(value) is float and low <= value <= high,
                f"its part {name!r} is {value!r}; expected a float from {low} to {high}",
            )


def prefers_right_outputs(subject: Subject) -> None:
    """Outputs that agree with the targets score better, in the direction that it declares."""
    for target in _targets(subject):
        labels = draw_labels(target, SAMPLES)
        pair = right_outputs(target, labels), wrong_outputs(target, labels)
        good, bad = (_value(subject.value, target, [(outputs, labels)]) for outputs in pair)
        assert good is not None
        assert bad is not None
        better = good > bad if subject.value.higher_is_better else good < bad
        word = "higher" if subject.value.higher_is_better else "lower"
        require(better, f"right outputs score {good:g}, wrong ones {bad:g}; {word} is better")


def ignores_missing_targets(subject: Subject) -> None:
    """A missing target does not change the value; without any target the value is None."""
    for target, outputs, labels in _examples(subject):
        value = _value(subject.value, target, [(outputs, labels)])
        present = spread(target, target.present(labels), outputs)
        other = torch.where(present, outputs, outputs.flip(0) - 7)
        message = "a missing target changes its value"
        _require_same(value, _value(subject.value, target, [(other, labels)]), message)
        some = target.weights(labels) > 0
        _require_same(
            value, _value(subject.value, target, [(outputs[some], labels[some])]), message
        )
        none = torch.full_like(labels, target.missing)
        alone = _value(subject.value, target, [(outputs, none)])
        require(alone is None, f"without any target its value is {alone}; expected None")
        empty = _value(subject.value, target, [])
        require(empty is None, f"before any batch its value is {empty}; expected None")


def ignores_the_order_of_samples(subject: Subject) -> None:
    """Samples in another order give the same value."""
    order = torch.randperm(SAMPLES, generator=torch.Generator().manual_seed(2))
    for target, outputs, labels in _examples(subject):
        whole = _value(subject.value, target, _batches(outputs, labels, (10, 31)))
        batches = _batches(outputs[order], labels[order], (10, 31))
        other = _value(subject.value, target, batches)
        _require_same(whole, other, "in another order its value differs")


def ignores_the_division_into_batches(subject: Subject) -> None:
    """Batches of any size, including an empty one, give the value of a single batch."""
    for target, outputs, labels in _examples(subject):
        whole = _value(subject.value, target, [(outputs, labels)])
        parts = _value(subject.value, target, _batches(outputs, labels, (1, 0, 7, 33)))
        _require_same(whole, parts, "in other batches its value differs")


def merges_over_ranks(subject: Subject) -> None:
    """Pickled states of several ranks, one of them empty, merge to the state of one rank."""
    for target, outputs, labels in _examples(subject):
        states = [
            _state(subject.value, target, [(outputs[part], labels[part])])
            for part in (slice(0, 10), slice(10, 10), slice(10, 20))
        ]
        states.append(_state(subject.value, target, []))
        first, *others = pickle.loads(pickle.dumps(states))
        for other in others:
            first.merge(other)
        whole = _value(subject.value, target, [(outputs[:20], labels[:20])])
        _require_same(whole, first.compute(), "merged states differ from one state")


def _targets(subject: Subject) -> list[Target]:
    """Return the target of the example, or one of each type that the metric measures."""
    given = subject.example.target
    return [given] if given is not None else [example_of(kind) for kind in subject.value.targets]


def _examples(subject: Subject) -> Iterator[tuple[Target, Tensor, Tensor]]:
    """Yield outputs and labels of each type of target, some outputs wrong, some labels missing."""
    for target in _targets(subject):
        labels = draw_labels(target, SAMPLES)
        yield target, noisy_outputs(target, labels), without_some(target, labels)


def _batches(outputs: Tensor, labels: Tensor, sizes: Sequence[int]) -> list[Batch]:
    return list(
        zip(torch.split(outputs, list(sizes)), torch.split(labels, list(sizes)), strict=True)
    )


def _state(metric: Metric, target: Target, batches: Sequence[Batch]) -> MetricState:
    state = metric.build(target)
    for outputs, labels in batches:
        state.update(outputs.clone(), labels.clone())
    return state


def _value(metric: Metric, target: Target, batches: Sequence[Batch]) -> float | None:
    return _state(metric, target, batches).compute()


def _require_same(one: float | None, other: float | None, message: str) -> None:
    if one is None or other is None:
        require(one is other, f"{message}: {one} and {other}")
    else:
        require(math.isclose(one, other, rel_tol=TOLERANCE), f"{message}: {one} and {other}")


CHECKS = checks_of(__name__)
