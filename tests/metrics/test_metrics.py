"""Metrics against formulas of other libraries, and states that merge in any order."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mtlkit.data import ClassTarget, MultiLabelTarget, NumberTarget
from mtlkit.metrics import MAE, NLL, R2, RMSE, Accuracy
from mtlkit.metrics.chance_level import chance_level
from mtlkit.testing.labels import EXAMPLES, draw_labels, without_some

CLASSES = ClassTarget(names=("left", "front", "right"))


def value(metric, *batches):
    state = metric.build(CLASSES if ClassTarget in metric.targets else NumberTarget())
    for outputs, target in batches:
        state.update(outputs, target)
    return state.compute()


def test_a_metric_is_registered_by_the_name_of_its_number_without_its_options(catalog):
    for registered in catalog.metrics.names():
        name = catalog.metrics.get(registered)().name
        stem = registered.removesuffix("-k")
        assert name == stem or name.startswith(f"{stem}-"), registered
        assert not name.removeprefix(stem).strip("-.0123456789"), registered


def test_accuracy_counts_present_labels_only():
    outputs = torch.tensor([[9.0, 0, 0], [0, 9, 0], [0, 0, 9]])
    assert value(Accuracy(), (outputs, torch.tensor([0, 2, -1]))) == 0.5


def test_errors_are_in_the_unit_of_the_label():
    batch = torch.tensor([1.0, 2.0, 9.0]), torch.tensor([1.0, 4.0, math.nan])
    assert value(MAE(), batch) == 1.0
    assert value(RMSE(), batch) == pytest.approx(2**0.5)
    assert value(R2(), batch) == pytest.approx(1 - 4 / 4.5)


def test_r2_of_the_mean_is_zero_and_of_constant_targets_undefined():
    target = torch.tensor([1.0, 2.0, 6.0])
    assert value(R2(), (torch.full((3,), 3.0), target)) == pytest.approx(0)
    constant = torch.full((3,), 0.1)
    assert value(R2(), (torch.zeros(3), constant), (torch.ones(3), constant)) is None


def test_r2_is_exact_far_from_zero():
    target = torch.tensor([1e6, 1e6 + 1, 1e6 + 2])
    wrong = target + torch.tensor([0.5, 0.0, -0.5])
    assert value(R2(), *((wrong[i : i + 1], target[i : i + 1]) for i in range(3))) == 0.75


def test_an_output_that_is_not_finite_is_not_hidden():
    outputs = torch.tensor([1.0, math.nan])
    assert math.isnan(value(MAE(), (outputs, torch.tensor([1.0, 2.0]))))
    assert value(MAE(), (outputs, torch.tensor([3.0, math.nan]))) == 2.0  # which has no target


numbers = st.floats(-1e3, 1e3, width=32)


@given(st.lists(st.tuples(numbers, numbers), min_size=2), st.data())
def test_r2_over_batches_is_that_of_the_whole(pairs, data):
    outputs, target = torch.tensor(pairs).unbind(1)
    cut = data.draw(st.integers(0, len(pairs)))
    whole = value(R2(), (outputs, target))
    halves = value(R2(), (outputs[cut:], target[cut:]), (outputs[:cut], target[:cut]))
    if whole is None or halves is None:
        assert target.double().var() < 1e-9
    else:
        assert halves == pytest.approx(whole, rel=1e-6, abs=1e-6)


def test_the_chance_level_is_that_of_the_commonest_class_or_the_mean():
    target = torch.tensor([2, 2, 0, -1])
    assert chance_level(Accuracy(), target, CLASSES) == pytest.approx(2 / 3)
    sizes = torch.tensor([0.0, 4.0, math.nan])
    assert chance_level(MAE(), sizes, NumberTarget()) == 2.0
    assert chance_level(R2(), sizes, NumberTarget()) == pytest.approx(0)
    times = 1.7e9 + torch.arange(40, dtype=torch.float64)
    assert chance_level(MAE(), times, NumberTarget()) == 10


def test_the_chance_level_of_the_likelihood_is_the_entropy_of_the_labels():
    labels = torch.tensor([2, 2, 0, -1])
    entropy = -(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3))
    assert chance_level(NLL(), labels, CLASSES) == pytest.approx(entropy)
    several = MultiLabelTarget(names=("p", "q"))
    labels = torch.tensor([[1, 0], [1, 1], [0, -1]])
    both = -(2 * math.log(2 / 3) + math.log(1 / 3) + 2 * math.log(1 / 2)) / 5
    assert chance_level(NLL(), labels, several) == pytest.approx(both)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda target: type(target).__name__)
def test_every_metric_has_a_chance_level_on_its_targets(catalog, example):
    labels = without_some(example, draw_labels(example, 9))
    metrics = [catalog.metrics.get(name)() for name in catalog.metrics.names()]
    metrics = [metric for metric in metrics if isinstance(example, metric.targets)]
    assert metrics
    for metric in metrics:
        level = chance_level(metric, labels, example)
        assert level is not None, metric
        assert metric.bounds[0] - 1e-6 <= level <= metric.bounds[1], metric
