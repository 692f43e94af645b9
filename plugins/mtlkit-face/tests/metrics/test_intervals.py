"""Spreads and intervals: formulas, an independent library, and how often they hold the truth."""

import math

import numpy as np
import pytest
from mtlkit_face.metrics.intervals import (
    pair_weight,
    percentiles,
    resamples,
    standard_error,
    std,
    wilson,
)
from scipy.stats import binomtest, sem


def test_spreads_are_scipys_and_numpys():
    values = [0.97, 0.98, 0.99, 0.965, 0.981]
    assert standard_error(values) == pytest.approx(sem(values))
    assert std(values) == pytest.approx(np.std(values, ddof=1))
    assert std(values, population=True) == pytest.approx(np.std(values))
    assert standard_error([*values, math.nan]) == pytest.approx(sem(values))
    assert math.isnan(standard_error([0.5]))
    assert math.isnan(standard_error([]))


@pytest.mark.parametrize(("hits", "trials"), [(0, 10), (10, 10), (5988, 6000), (1, 3)])
def test_wilsons_interval_is_scipys(hits, trials):
    expected = binomtest(hits, trials).proportion_ci(method="wilson")
    assert wilson(hits, trials) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert all(math.isnan(end) for end in wilson(0, 0))


def test_each_replicate_draws_everybody_once_on_average():
    drawn = np.array(list(resamples(50, 400)))
    assert drawn.shape == (400, 50)
    assert (drawn.sum(axis=1) == 50).all()
    assert drawn.mean() == 1
    np.testing.assert_array_equal(drawn, np.array(list(resamples(50, 400))))
    assert (drawn != np.array(list(resamples(50, 400, seed=1)))).any()


def test_a_pair_counts_as_often_as_its_people():
    drawn = np.array([2.0, 3.0, 0.0])
    first, second = np.array([0, 0, 1, 1]), np.array([0, 1, 2, 1])
    assert pair_weight(drawn, first, second).tolist() == [2, 6, 0, 3]


def test_the_bootstrap_of_a_mean_is_as_wide_as_theory_says():
    values = np.random.default_rng(0).normal(size=400)
    ((low, high),) = percentiles(lambda w: [(w * values).sum() / w.sum()], resamples(400, 400))
    assert (high - low) == pytest.approx(2 * 1.96 * sem(values), rel=0.15)
    assert low < values.mean() < high


def test_people_who_are_in_many_pairs_widen_the_interval():
    """Ten people with fifty pairs each know ten things, not five hundred."""
    random = np.random.default_rng(1)
    person = np.repeat(np.arange(10), 50)
    value = random.normal(size=10)[person] + 0.1 * random.normal(size=500)
    by_people, by_pairs = (
        percentiles(lambda w: [float((w * value).sum() / w.sum())], weights)[0]
        for weights in ((d[person] for d in resamples(10, 400)), resamples(500, 400))
    )
    assert by_people[1] - by_people[0] > 3 * (by_pairs[1] - by_pairs[0])


def test_replicates_without_a_value_are_left_out():
    ends = percentiles(lambda w: [math.nan if w[0] == 0 else w[0], math.nan], resamples(5, 400))
    assert ends[0][0] >= 1
    assert all(math.isnan(end) for end in ends[1])
