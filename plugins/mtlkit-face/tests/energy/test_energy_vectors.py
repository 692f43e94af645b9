"""Energy vectors by hand, and overlaps held to scipy's hypergeometric distribution."""

import numpy as np
import pytest
import torch
from mtlkit_face.energy.vectors import energy_vector, overlap, rank_correlation, strongest
from scipy import stats


def test_energy_is_the_sum_of_absolute_weights_over_classes():
    weight = torch.tensor([[1.0, -2.0, 0.0], [-3.0, 0.5, 0.0]])  # two classes, three dimensions
    assert energy_vector(weight).tolist() == [4.0, 2.5, 0.0]
    assert strongest(energy_vector(weight)).tolist() == [0, 1, 2]


def test_the_energy_of_all_tasks_is_the_sum_of_theirs():
    first, second = torch.randn(7, 5), torch.randn(3, 5)
    together = energy_vector(torch.cat([first, second]))
    assert torch.allclose(together, energy_vector(first) + energy_vector(second))


def test_equal_energies_keep_their_order():
    assert strongest(torch.tensor([1.0, 2.0, 1.0, 2.0])).tolist() == [1, 3, 0, 2]


@pytest.mark.parametrize(("size", "most"), [(320, 40), (17, 5), (9, 4)])
def test_chance_is_the_hypergeometric_distribution(size, most):
    found = overlap(torch.rand(size), torch.rand(size), most)
    chance = stats.hypergeom(size, most, most)
    assert found.expected == pytest.approx(chance.mean())
    assert found.std == pytest.approx(chance.std())


def test_chance_is_what_random_energies_share():
    draws = [overlap(torch.rand(20), torch.rand(20), 6) for _ in range(2000)]
    shared = np.mean([draw.shared for draw in draws])
    assert shared == pytest.approx(draws[0].expected, abs=4 * draws[0].std / 2000**0.5)


def test_overlap_is_that_of_sets():
    values = torch.arange(10.0)
    assert overlap(values, values, 4).shared == 4
    assert overlap(values, -values, 4).shared == 0
    assert overlap(values, -values, 4).z_score == pytest.approx(-2)  # (0 - 1.6) / 0.8
    assert overlap(values, -values, 10).shared == 10
    assert overlap(values, values, 10).z_score == 0.0


def test_the_correlation_is_spearmans():
    first, second = torch.rand(50, dtype=torch.double), torch.rand(50, dtype=torch.double)
    expected = stats.spearmanr(first, second).statistic
    assert rank_correlation(first, second) == pytest.approx(expected)
    assert rank_correlation(first, torch.ones(50)) == 0.0
