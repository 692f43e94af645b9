"""Metrics of the protocols against scikit-learn, brute force, and cases worked out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mtlkit_face.metrics.charts import roc_and_det
from mtlkit_face.metrics.fold_accuracy import fold_accuracy, grid, midpoint
from mtlkit_face.metrics.open_set import tpir_at_fpir
from mtlkit_face.metrics.operating_point import budget, nearest
from mtlkit_face.metrics.rank import identification_rate, ranks, search
from mtlkit_face.metrics.roc import SortedScores, mean_curve, roc
from scipy.optimize import brentq
from sklearn.metrics import roc_auc_score, roc_curve, top_k_accuracy_score

trials = st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(0, 10_000))


def scored(genuine: int, impostor: int, seed: int, ties: bool = True):
    random = np.random.default_rng(seed)
    score = random.normal(np.repeat([0.5, 0.0], [genuine, impostor]), 1.0)
    same = np.repeat([True, False], [genuine, impostor])
    order = random.permutation(len(score))
    return (score.round(1) if ties else score)[order], same[order]


@given(trials)
@settings(max_examples=60)
def test_the_curve_and_its_area_are_scikit_learns(trial):
    score, same = scored(*trial)
    far, tar, threshold = roc_curve(same, score, drop_intermediate=False)
    found = roc(score, same)
    np.testing.assert_allclose(found.far, far, atol=1e-12)
    np.testing.assert_allclose(found.tar, tar, atol=1e-12)
    np.testing.assert_array_equal(found.threshold, threshold)
    assert found.auc() == pytest.approx(roc_auc_score(same, score))


@given(trials)
@settings(max_examples=40)
def test_a_weight_is_so_many_copies(trial):
    score, same = scored(*trial)
    weight = np.random.default_rng(trial[2]).integers(0, 4, len(score)).astype(float)
    copies = np.repeat(np.arange(len(score)), weight.astype(int))
    one = SortedScores(score, same).roc(weight)
    if len(set(same[copies])) == 2:
        other = roc(score[copies], same[copies])
        assert one.auc() == pytest.approx(other.auc())
        assert one.equal_error().rate == pytest.approx(other.equal_error().rate)
        assert budget(one, 0.2).tar == pytest.approx(budget(other, 0.2).tar)


def test_the_equal_error_rate_lies_between_two_points():
    # at FRR 1/2 the FAR goes from 1/3 to 2/3: they are equal at 1/2
    score = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    same = np.array([True, False, False, True, False])
    assert roc(score, same).equal_error().rate == pytest.approx(0.5)
    # at FAR 1/4 the FRR goes from 1/2 to 0: they are equal at 1/4
    score = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    same = np.array([True, False, True, False, False, False])
    assert roc(score, same).equal_error().rate == pytest.approx(0.25)


@given(trials)
@settings(max_examples=60)
def test_the_equal_error_rate_is_where_scikit_learns_curve_crosses(trial):
    score, same = scored(*trial)
    far, tar, _ = roc_curve(same, score, drop_intermediate=False)
    along = np.arange(len(far))
    at = brentq(lambda x: np.interp(x, along, far) + np.interp(x, along, tar) - 1, 0, along[-1])
    expected = np.interp(at, along, far)
    assert roc(score, same).equal_error().rate == pytest.approx(expected, abs=1e-9)


@given(trials)
@settings(max_examples=60)
def test_the_threshold_of_equal_error_is_the_first_that_accepts_as_many_as_it_refuses(trial):
    score, same = scored(*trial)
    threshold = roc(score, same).equal_error().threshold
    assert (score >= threshold)[~same].mean() >= (score < threshold)[same].mean() - 1e-12
    for higher in np.unique(score[score >= threshold])[1:]:
        assert (score >= higher)[~same].mean() < (score < higher)[same].mean() + 1e-12


def test_a_threshold_between_scores_that_do_not_meet_lies_in_the_middle():
    found = roc(np.array([0.9, 0.5, 0.1, -0.3]), np.array([True, True, False, False]))
    assert found.equal_error() == (0.0, pytest.approx(0.3))
    low = 0.5  # no number lies between the two
    high = np.nextafter(low, 1)
    assert roc(np.array([high, low]), np.array([True, False])).equal_error() == (0.0, high)
    # a failed comparison has no score to be in the middle of
    assert roc(np.array([0.5, -np.inf]), np.array([True, False])).equal_error() == (0.0, 0.5)


@pytest.mark.parametrize("constant", [0.0, 0.7])
def test_constant_scores_are_chance(constant):
    score, same = np.full(10, constant), np.arange(10) < 4
    found = roc(score, same)
    assert found.auc() == 0.5
    assert found.equal_error().rate == 0.5
    # all are accepted together, so within a budget nobody is
    assert (budget(found, 0.5).tar, budget(found, 0.5).far) == (0.0, 0.0)


@given(trials)
@settings(max_examples=40)
def test_the_equal_error_rate_is_where_a_fine_line_crosses(trial):
    score, same = scored(*trial)
    found = roc(score, same)
    far = np.interp(np.linspace(0, 1, 100_001), np.linspace(0, 1, len(found.far)), found.far)
    tar = np.interp(np.linspace(0, 1, 100_001), np.linspace(0, 1, len(found.far)), found.tar)
    at = np.abs(far - (1 - tar)).argmin()
    assert found.equal_error().rate == pytest.approx(far[at], abs=1e-3)


@given(trials, st.sampled_from([0.0, 0.001, 0.1, 0.3, 0.5, 1.0]))
@settings(max_examples=60)
def test_within_a_budget_the_far_never_exceeds_its_target(trial, target):
    score, same = scored(*trial)
    at = budget(roc(score, same), target)
    accepted = score >= at.threshold
    assert accepted[~same].sum() <= np.floor(target * (~same).sum() + 1e-9)
    assert accepted[same].mean() == pytest.approx(at.tar)
    assert accepted[~same].mean() == pytest.approx(at.far)
    for threshold in np.unique(score):  # and no threshold within it accepts more
        if (score >= threshold)[~same].mean() <= target:
            assert (score >= threshold)[same].mean() <= at.tar + 1e-12


@given(trials, st.sampled_from([0.001, 0.1, 0.3]))
@settings(max_examples=60)
def test_the_nearest_point_is_the_one_that_the_kits_take(trial, target):
    score, same = scored(*trial)
    far, tar, _ = roc_curve(same, score)
    far, tar = np.flipud(far), np.flipud(tar)  # the first of several is that of the larger TAR
    at = np.abs(far - target).argmin()
    found = nearest(roc(score, same), target)
    assert abs(found.far - target) == pytest.approx(np.abs(far - target).min())
    if abs(np.abs(far - target) - np.abs(far - target).min()).tolist().count(0.0) == 1:
        assert (found.far, found.tar) == pytest.approx((far[at], tar[at]))


def test_the_two_rules_differ_where_the_budget_is_small():
    score = np.array([0.9, 0.8, 0.7, 0.6])
    same = np.array([True, False, True, False])
    strict, kits = (rule(roc(score, same), 0.4) for rule in (budget, nearest))
    assert (strict.tar, strict.far) == (0.5, 0.0)
    assert (kits.tar, kits.far) == (1.0, 0.5)  # exceeds its target


def test_three_of_three_thousand_are_within_a_thousandth():
    same = np.arange(6000) < 3000
    score = np.where(same, 0.5, 0.0)
    score[3000:3003] = 0.9
    assert budget(roc(score, same), 0.001).tar == 1.0
    score[3003] = 0.8
    assert budget(roc(score, same), 0.001).tar == 0.0


def test_a_failed_comparison_is_accepted_nowhere():
    score = np.array([0.9, -np.inf, 0.2, -np.inf])
    same = np.array([True, True, False, False])
    found = roc(score, same)
    assert budget(found, 1.0).tar == 0.5
    assert nearest(found, 1.0).tar == 0.5
    judged = fold_accuracy(score, same, np.array([0, 1, 0, 1]), midpoint)
    # all of the second fold failed, so the first has any threshold, here 0; the second has 0.55
    assert judged.threshold.tolist() == [0.0, pytest.approx(0.55)]
    assert judged.right.tolist() == [True, False, False, True]


def test_without_impostors_there_is_no_rate():
    found = roc(np.array([0.5, 0.6]), np.array([True, True]))
    assert np.isnan([budget(found, 0.1).tar, nearest(found, 0.1).tar, found.auc()]).all()
    assert np.isnan(found.equal_error().rate)


def brute_accuracy(score, same, threshold):
    return ((score >= threshold) == same).mean()


@given(trials)
@settings(max_examples=60)
def test_the_midpoint_is_as_good_as_any_threshold(trial):
    score, same = scored(*trial)
    every = np.concatenate([score, score + 1e-6, [score.max() + 1]])
    best = max(brute_accuracy(score, same, threshold) for threshold in every)
    assert brute_accuracy(score, same, midpoint(score, same)) == pytest.approx(best)


def test_of_equally_good_thresholds_the_middle_is_taken():
    # 0.2 | 0.4 0.6 | 0.8 with one wrong on either side: three gaps are equally good
    score = np.array([0.8, 0.6, 0.4, 0.2])
    same = np.array([True, False, True, False])
    rights = [brute_accuracy(score, same, t) for t in (0.3, 0.5, 0.7)]
    assert rights == [0.75, 0.5, 0.75]
    assert midpoint(score, same) == pytest.approx(0.3)  # the lower of the two middle ones
    assert midpoint(np.array([0.9, 0.1]), np.array([True, False])) == pytest.approx(0.5)


def test_the_middle_of_neighbouring_numbers_still_parts_them():
    low = 0.5
    high = np.nextafter(low, 1)
    threshold = midpoint(np.array([high, low]), np.array([True, False]))
    assert low < threshold <= high


@given(trials)
@settings(max_examples=40)
def test_the_grid_is_that_of_squared_distances(trial):
    score, same = scored(*trial)
    score = (score / 10).clip(-1, 1)
    distance = 2 - 2 * score
    grid_of_kits = np.arange(0, 4, 0.01)
    accuracy = [((distance < t) == same).mean() for t in grid_of_kits]
    chosen = grid_of_kits[int(np.argmax(accuracy))]
    agree = (score >= grid(score, same)) == (distance < chosen)
    edge = np.isclose(distance, chosen)  # where the rounding of the distance decides
    assert (agree | edge).all()


def test_each_fold_is_judged_at_the_threshold_of_the_others():
    score = np.array([0.9, 0.5, 0.8, 0.1, 0.7, 0.3])
    same = np.array([True, False, True, False, True, False])
    fold = np.array([0, 0, 1, 1, 2, 2])
    found = fold_accuracy(score, same, fold, midpoint)
    for k in range(3):
        others = fold != k
        assert found.threshold[k] == midpoint(score[others], same[others])
        assert found.accuracy[k] == brute_accuracy(
            score[~others], same[~others], found.threshold[k]
        )
    # by hand: 0.8 0.7 | 0.3 0.1 -> 0.5; 0.9 0.7 | 0.5 0.3 -> 0.6; 0.9 0.8 | 0.5 0.1 -> 0.65
    assert found.threshold == pytest.approx([0.5, 0.6, 0.65])
    assert found.accuracy.tolist() == [0.5, 1.0, 1.0]


searches = st.tuples(st.integers(1, 12), st.integers(2, 8), st.integers(0, 10_000))


@given(st.tuples(st.integers(1, 12), st.integers(3, 8), st.integers(0, 10_000)))
@settings(max_examples=40)
def test_the_identification_rate_is_scikit_learns_top_k_accuracy(trial):
    probes, persons, seed = trial
    random = np.random.default_rng(seed)
    scores, owner = random.normal(size=(probes, persons)), random.integers(0, persons, probes)
    rank = ranks(scores, scores[np.arange(probes), owner])
    for most in range(1, persons):
        expected = top_k_accuracy_score(owner, scores, k=most, labels=np.arange(persons))
        assert identification_rate(rank, most) == pytest.approx(expected)


def test_ranks_by_hand():
    scores = np.array([[0.9, 0.5, 0.1], [0.5, 0.5, 0.5], [np.nan, 0.5, 0.1], [0.1, np.nan, 0.5]])
    # best; tied with all; a score that is not a number; beaten by one that is not a number
    assert ranks(scores, scores[:, 0]).tolist() == [1, 3, 3, 3]
    rank = np.array([1, 2, 5, 0])  # the last one has no mate
    assert [identification_rate(rank, most) for most in (1, 2, 5)] == pytest.approx(
        [1 / 3, 2 / 3, 1]
    )
    assert identification_rate(rank, 1, np.array([2.0, 1.0, 1.0, 9.0])) == 0.5
    assert np.isnan(identification_rate(np.array([0, 0]), 1))


@given(searches)
@settings(max_examples=60)
def test_ranks_are_those_of_a_sorted_list(trial):
    probes, persons, seed = trial
    random = np.random.default_rng(seed)
    gallery = np.concatenate([np.arange(persons), random.integers(0, persons, 3)])
    probe = random.integers(0, persons + 2, probes)  # some are strangers
    scores = random.integers(-3, 4, (probes, len(gallery))) / 3
    found = search(scores, probe, gallery)
    for i in range(probes):
        best = {p: scores[i, gallery == p].max() for p in range(persons)}
        assert found.mated[i] == (probe[i] < persons)
        assert found.best[i] == max(best.values())
        if found.mated[i]:
            order = sorted(best, key=lambda p: (-best[p], p == probe[i]))
            assert found.rank[i] == order.index(probe[i]) + 1
            assert found.mate_score[i] == best[probe[i]]
        else:
            assert found.rank[i] == 0


def test_strangers_take_no_part_in_the_closed_set():
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.9, 0.8]])
    found = search(scores, np.array([1, 1, 7]), np.array([1, 2]))
    assert (identification_rate(found.rank, 1), identification_rate(found.rank, 2)) == (0.5, 1.0)


def test_a_failed_probe_finds_nobody_at_any_rank():
    scores = np.array([[-np.inf, -np.inf], [0.9, -np.inf]])
    found = search(scores, np.array([1, 2]), np.array([1, 2]))
    assert (
        identification_rate(found.rank, 2) == 0.0
    )  # a failed gallery template is found by nobody, too


def test_open_set_search_by_hand():
    # three mated probes: found at 0.9, found at 0.6, and one taken for another with 0.8;
    # strangers with best scores 0.7 and 0.3
    scores = np.array([[0.9, 0.1], [0.1, 0.6], [0.8, 0.2], [0.7, 0.1], [0.3, 0.2]])
    found = search(scores, np.array([1, 2, 2, 8, 9]), np.array([1, 2]))
    strict = tpir_at_fpir(found, 0.1, budget)
    assert (strict.tpir, strict.fpir, strict.threshold) == (pytest.approx(1 / 3), 0.0, 0.9)
    half = tpir_at_fpir(found, 0.5, budget)
    assert (half.tpir, half.fpir, half.threshold) == (pytest.approx(2 / 3), 0.5, 0.6)
    # the one at rank 2 is found at no threshold
    assert tpir_at_fpir(found, 1.0, budget).tpir == pytest.approx(2 / 3)


@given(searches, st.sampled_from([0.0, 0.1, 0.5, 1.0]))
@settings(max_examples=40)
def test_false_alarms_keep_to_their_budget(trial, target):
    probes, persons, seed = trial
    random = np.random.default_rng(seed)
    probe = np.append(random.integers(0, persons + 3, probes), [0, persons + 1])
    scores = random.normal(size=(len(probe), persons)).round(1)
    found = search(scores, probe, np.arange(persons))
    at = tpir_at_fpir(found, target, budget)
    alarms = scores[~found.mated].max(axis=1) >= at.threshold
    assert alarms.mean() == pytest.approx(at.fpir)
    assert at.fpir <= target
    hits = (found.rank == 1) & (found.mate_score >= at.threshold)
    assert hits[found.mated].mean() == pytest.approx(at.tpir)


def test_the_mean_curve_of_one_is_itself():
    score, same = scored(30, 50, 1)
    curve = roc(score, same)
    mean = mean_curve([curve, curve])
    for far in (0.0, 0.1, 0.5, 1.0):
        at = np.flatnonzero(mean.far <= far)[-1]
        assert mean.tar[at] == pytest.approx(
            curve.tar[np.flatnonzero(curve.far <= mean.far[at])[-1]]
        )


def test_drawn_curves_are_short_and_go_from_end_to_end():
    score, same = scored(5000, 20_000, 2, ties=False)
    drawn, det = roc_and_det({"a": roc(score, same)}, "a set")
    series = drawn.series["a"]
    assert len(series.x) <= 160
    assert (series.x[0], series.y[0], series.x[-1], series.y[-1]) == (0, 0, 1, 1)
    assert len(det.series["a"].x) <= 160
    assert min(det.series["a"].x) == pytest.approx(np.log10(1 / 20_000))
    assert all(y > 0 for y in det.series["a"].y)
