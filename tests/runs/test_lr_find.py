"""The search for a learning rate: its curve, its suggestion, and what it refuses."""

import attrs
import pytest

from mtlkit.errors import RunError
from mtlkit.optim import SGD, Cosine
from mtlkit.plugins.catalog import load_catalog
from mtlkit.runs.lr_find import RateCurve, RateRange, find_rate
from mtlkit.testing.small_data import small_recipe, small_updater

RATES = RateRange(low=1e-4, high=1e3, steps=40)


def curve_of(recipe, rates=RATES):
    return find_rate(recipe, rates, catalog=load_catalog("none"))


def test_the_rates_are_those_of_the_updates():
    """Whatever the recipe's own rate and schedule are, the losses are those of the range."""
    plain = curve_of(small_recipe())
    other = attrs.evolve(
        small_recipe(),
        optimizer=attrs.evolve(small_recipe().optimizer, lr=0.3),
        schedule=Cosine(warmup_steps=5),
    )
    assert curve_of(other).losses == pytest.approx(plain.losses, rel=1e-4)
    assert plain.rates == tuple(RATES.at(step) for step in range(len(plain.rates)))
    assert plain.rates[0] == 1e-4


def test_it_ends_where_the_loss_diverges_and_suggests_a_smaller_rate():
    curve = curve_of(small_recipe())
    assert curve.diverged
    assert len(curve.rates) < RATES.steps
    assert curve.rates[0] < curve.suggestion < curve.rates[-1]


def test_the_first_loss_is_that_of_the_start():
    updater = small_updater(small_recipe())
    updater.update(0)
    values, weights = updater.meter.read()
    total = sum(weights[name] * value for name, value in values.items())
    assert curve_of(small_recipe()).losses[0] == pytest.approx(total)


def test_the_suggestion_is_the_steepest_descent():
    rates = tuple(10.0**n for n in range(-5, 1))
    smoothed = (1.0, 0.98, 0.8, 0.5, 0.45, 3.0)
    assert RateCurve(rates, smoothed, smoothed, True).suggestion == pytest.approx(1e-3)


def test_a_loss_that_does_not_fall_is_an_error():
    curve = RateCurve((0.1, 1.0), (1.0, 2.0), (1.0, 1.5), True)
    with pytest.raises(RunError, match=r"the loss does not fall at any rate from 0\.1 to 1; give"):
        _ = curve.suggestion
    with pytest.raises(RunError, match=r"got rates from 1 to 0\.1; the second must be larger"):
        RateRange(low=1.0, high=0.1)


def test_momentum_and_groups_keep_their_ratio():
    recipe = attrs.evolve(small_recipe(), optimizer=SGD(lr=0.01, momentum=0.0))
    assert len(curve_of(recipe).losses) >= 10
