"""Ranks, CMC and equal error rate against brute force."""

import attrs
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mtlkit_face.identification.matching import Matches, match

trials = st.tuples(st.integers(2, 8), st.integers(1, 30), st.integers(0, 10_000))


def one_trial(gallery: int, count: int, seed: int, chunk: int = 7):
    random = torch.Generator().manual_seed(seed)
    # few distinct values, so that ties are common
    images = torch.randint(-2, 3, (gallery, 3), generator=random).double() / 4
    probes = torch.randint(-2, 3, (count, 3), generator=random).double() / 4
    mates = torch.randint(0, gallery, (count,), generator=random)
    return images, probes, mates, match(torch.split(probes, chunk), images, mates)


@given(trials)
@settings(max_examples=80)
def test_ranks_are_those_of_a_sort_that_puts_tied_impostors_first(trial):
    images, probes, mates, found = one_trial(*trial)
    for probe in range(len(probes)):
        scores = (images @ probes[probe]).tolist()
        mate = int(mates[probe])
        order = sorted(range(len(images)), key=lambda i: (-scores[i], i == mate))
        assert found.ranks[probe] == order.index(mate) + 1
        impostors = [i for i in order if i != mate]
        assert found.best_impostor_scores[probe] == pytest.approx(scores[impostors[0]])
        assert scores[int(found.best_impostors[probe])] == pytest.approx(scores[impostors[0]])
        assert found.mate_scores[probe] == pytest.approx(scores[mate])


@given(trials)
@settings(max_examples=40)
def test_the_cmc_rises_to_one_and_starts_at_rank_1(trial):
    images, _, _, found = one_trial(*trial)
    cmc = found.cmc(len(images))
    assert list(cmc) == sorted(cmc)
    assert cmc[0] == found.rank1()
    assert cmc[-1] == 1


@given(trials, st.integers(1, 40))
@settings(max_examples=30)
def test_the_size_of_chunks_changes_nothing(trial, chunk):
    *_, one = one_trial(*trial)
    *_, other = one_trial(*trial, chunk=chunk)
    for name in ("ranks", "mate_scores", "best_impostor_scores", "impostor_counts"):
        assert torch.equal(getattr(one, name), getattr(other, name))


def test_constant_scores_earn_the_last_rank():
    found = match([torch.ones(3, 2)], torch.ones(5, 2) / 2, torch.tensor([0, 1, 4]))
    assert found.ranks.tolist() == [5, 5, 5]


def test_scores_that_are_no_numbers_earn_the_last_rank():
    nothing = torch.full((3, 4), torch.nan)
    found = match([nothing], torch.randn(5, 4), torch.arange(3))
    assert found.ranks.tolist() == [5, 5, 5]


def test_rank_1_among_some_probes_counts_these_alone():
    ranks = torch.tensor([1, 2, 1, 3])
    found = Matches(**dict.fromkeys([field.name for field in attrs.fields(Matches)], ranks))
    assert found.rank1(torch.tensor([True, True, False, False])) == 0.5


def scores_of(genuine: np.ndarray, impostors: np.ndarray) -> Matches:
    """A gallery of two one-number templates that gives exactly these scores."""
    gallery = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    probes = torch.tensor(np.stack([genuine, impostors], axis=1))
    return match([probes], gallery, torch.zeros(len(probes), dtype=torch.int64))


def brute_force_eer(genuine: np.ndarray, impostors: np.ndarray) -> float:
    thresholds = np.concatenate([genuine, impostors, [2.0]])
    refused = np.array([(genuine < t).mean() for t in thresholds])
    accepted = np.array([(impostors >= t).mean() for t in thresholds])
    at = np.abs(refused - accepted).argmin()
    return (refused[at] + accepted[at]) / 2


@pytest.mark.parametrize("distance", [0.0, 0.1, 0.3, 2.0])
def test_the_equal_error_rate_is_that_of_all_thresholds(distance):
    random = np.random.default_rng(3)
    genuine = np.clip(random.normal(distance / 2, 0.1, 4000), -1, 1)
    impostors = np.clip(random.normal(-distance / 2, 0.1, 4000), -1, 1)
    found = scores_of(genuine, impostors)
    assert found.roc().equal_error().rate == pytest.approx(
        brute_force_eer(genuine, impostors), abs=1e-3
    )


@pytest.mark.parametrize("distance", [0.1, 0.3])
def test_the_threshold_of_equal_error_has_that_error(distance):
    random = np.random.default_rng(4)
    genuine = np.clip(random.normal(distance / 2, 0.1, 4000), -1, 1)
    impostors = np.clip(random.normal(-distance / 2, 0.1, 4000), -1, 1)
    found = scores_of(genuine, impostors).roc().equal_error()
    assert (genuine < found.threshold).mean() == pytest.approx(found.rate, abs=1e-3)
    assert (impostors >= found.threshold).mean() == pytest.approx(found.rate, abs=1e-3)


def test_a_threshold_between_scores_that_do_not_meet_lies_in_the_middle():
    found = scores_of(np.linspace(0.5, 0.9, 50), np.linspace(-0.3, 0.1, 50)).roc().equal_error()
    assert found.rate == 0
    assert found.threshold == pytest.approx(0.3, abs=2e-4)


def test_histograms_hold_every_score_once():
    genuine, impostors = np.linspace(-1, 1, 50), np.linspace(-0.5, 0.5, 50)
    found = scores_of(genuine, impostors)
    assert found.mate_counts().sum() == 50
    assert found.impostor_counts.sum() == 50
