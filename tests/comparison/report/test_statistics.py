"""The numbers are those of SciPy, of statsmodels, or were computed by hand."""

import math

import attrs
import numpy as np
import pytest
from scikit_posthocs import posthoc_wilcoxon
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from mtlkit.comparison.analysis.cost import costs
from mtlkit.comparison.analysis.delta_definitions import delta_by_metric
from mtlkit.comparison.analysis.delta_m import delta_m, metric_deltas
from mtlkit.comparison.analysis.pareto import front, hypervolume, trade
from mtlkit.comparison.analysis.power import POWER, _power, detectable, seeds_needed
from mtlkit.comparison.analysis.ranks import rank, rank_methods, smallest_p
from mtlkit.comparison.analysis.sensitivity import chosen_settings, sensitivities
from mtlkit.comparison.analysis.statistics import bootstrap_mean, holm, paired_test, student_mean
from mtlkit.comparison.report.dependencies import NEEDED, require_libraries
from mtlkit.comparison.results.record import Budget, TaskMetric
from mtlkit.errors import MissingExtraError

SAMPLE = [1.3, -0.2, 2.4, 0.9, 1.1]
EPOCHS = Budget.EPOCHS


def judged(task, up):
    return TaskMetric(problem="p", task=task, metric=f"{task}/m", higher_is_better=up)


def test_the_bootstrap_is_scipys():
    found = bootstrap_mean(SAMPLE)
    theirs = stats.bootstrap(
        (SAMPLE,), np.mean, n_resamples=4999, method="BCa", rng=np.random.default_rng(0)
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))
    assert found == bootstrap_mean(SAMPLE), "a report made twice says the same"


def test_students_interval_belongs_to_its_test():
    for shift in (0.0, 1.0):
        found = student_mean([x - shift for x in SAMPLE])
        excludes = found.low > 0 or found.high < 0
        assert excludes == (paired_test([x - shift for x in SAMPLE]) < 0.05)
    assert paired_test(SAMPLE) == stats.ttest_1samp(SAMPLE, 0).pvalue


@pytest.mark.parametrize("values", [[0.0, 0.0, 0.0], [2.0, 2.0], [1.0], [0.1 + 0.2, 0.3]])
def test_what_does_not_vary_shows_nothing(values):
    assert paired_test(values) == 1.0
    found = bootstrap_mean(values)
    assert found.mean == pytest.approx(values[0])
    assert found.low is None or found.low == found.high


def test_holm_is_that_of_statsmodels():
    rng = np.random.default_rng(0)
    for size in (7, 40):
        p_values = list(rng.uniform(0, 0.1, size))
        theirs = multipletests(p_values, method="holm")[1]
        assert holm(p_values) == pytest.approx(list(theirs))
    assert holm([]) == []


def test_delta_m_has_the_sign_of_the_paper():
    """(0.6 - 0.5) / 0.5 = +20% where higher is better, (4 - 5) / 5 gives +20% where lower is."""
    metrics = [judged("a", True), judged("b", False)]
    better = {0: {"a/m": 0.6, "b/m": 4.0}, 1: {"a/m": 0.5, "b/m": 5.0}}
    base = {seed: {"a/m": 0.5, "b/m": 5.0} for seed in (0, 1)} | {2: {"a/m": 9.0, "b/m": 9.0}}
    assert delta_m(better, base, metrics) == {0: pytest.approx(20.0), 1: 0.0}
    assert metric_deltas(better, base, metrics)["b/m"] == {0: pytest.approx(20.0), 1: 0.0}


def test_delta_m_is_the_formula_of_papers_on_the_means():
    """Over a task with one metric and one with two, whose directions differ."""
    rng = np.random.default_rng(0)
    metrics = [
        judged("a", True),
        judged("b", False),
        attrs.evolve(judged("b", True), metric="b/n", primary=False),
    ]
    tasks = {"a": {"a/m": True}, "b": {"b/m": False, "b/n": True}}
    method, base = (
        {s: {m.metric: rng.uniform(1, 2) for m in metrics} for s in range(5)} for _ in range(2)
    )
    means = [
        {m.metric: np.mean([scores[s][m.metric] for s in scores]) for m in metrics}
        for scores in (method, base)
    ]
    found = delta_m(method, base, metrics)
    assert math.fsum(found.values()) / 5 == pytest.approx(-delta_by_metric(*means, tasks))


def test_delta_m_of_a_baseline_below_zero_has_no_meaning():
    metric = [judged("a", True)]
    assert delta_m({0: {"a/m": 0.4}}, {0: {"a/m": -0.1}}, metric) == {}
    assert delta_m({0: {"a/m": 0.4}}, {}, metric) == {}


@pytest.mark.parametrize(
    ("method", "base"),
    [({"a/m": 0.6, "a/n": 0.5}, {"a/m": 0.5, "a/n": 0.0}), ({"a/m": 0.6}, {"a/m": 0.5, "a/n": 1})],
    ids=["zero", "missing"],
)
def test_another_metric_without_a_ratio_is_left_out(method, base):
    metrics = [judged("a", True), attrs.evolve(judged("a", True), metric="a/n", primary=False)]
    deltas = metric_deltas({0: method}, {0: base}, metrics)
    assert deltas == {"a/m": {0: pytest.approx(20.0)}}


def test_seeds_needed_are_those_of_statsmodels():
    for effect, alpha in ((0.5, 0.05), (1.0, 0.01), (2.0, 0.001)):
        theirs = TTestPower().solve_power(effect_size=effect, power=POWER, alpha=alpha)
        assert seeds_needed(effect * 3.0, 3.0, alpha) == math.ceil(theirs)
        seeds = seeds_needed(effect, 1.0, alpha)
        assert detectable(1.0, seeds, alpha) <= effect < detectable(1.0, seeds - 1, alpha)


def test_power_grows_with_seeds_everywhere():
    """Where SciPy's non-central t is NaN in the far tail, as at an effect of 3 and 9 seeds, too."""
    for effect in (1.0, 2.0, 3.0, 8.349, 50.0):
        powers = [_power(effect, 1.0, 0.001, seeds) for seeds in range(2, 30)]
        assert powers == sorted(powers)
        assert powers[-1] > 0.9


def test_seeds_needed_at_the_edges():
    assert seeds_needed(0.0, 1.0, 0.05) is None
    assert seeds_needed(0.001, 1.0, 0.05) is None
    assert seeds_needed(50.0, 0.0001, 0.05) == 2
    assert detectable(1.0, 1, 0.05) is None


def test_ranks_are_those_of_scipy_and_scikit_posthocs():
    rng = np.random.default_rng(0)
    shifts = {"a": 0, "b": 0, "c": 1, "d": 3}
    table = {name: list(rng.normal(size=14) + shift) for name, shift in shifts.items()}
    found = rank(table, [str(i) for i in range(14)])
    assert next(iter(found.ranks)) == "d"
    assert sum(found.ranks.values()) == pytest.approx(10)
    assert found.friedman == stats.friedmanchisquare(*table.values()).pvalue
    theirs = posthoc_wilcoxon(np.array(list(table.values())), p_adjust="holm").to_numpy()
    for i, a in enumerate(table):
        for j, b in enumerate(table):
            if a != b:
                assert found.adjusted[a, b] == pytest.approx(theirs[i, j])


@pytest.mark.parametrize("count", [5, 8, 13, 14])
def test_signed_ranks_with_and_without_ties_are_scipys(count):
    rng = np.random.default_rng(count)
    for step in (0.0, 1.0) if count < 10 else (0.0,):  # SciPy takes seconds for longer tied ones
        plain = rng.normal(1, 2, count)
        values = np.round(plain / step) * step if step else plain
        found = rank({"a": list(values), "b": [0.0] * count}, list(range(count)))
        theirs = stats.wilcoxon(values[values != 0]).pvalue
        assert found.adjusted["a", "b"] == pytest.approx(theirs)


def test_few_blocks_are_said_to_be_powerless():
    """With 5 blocks the smallest p of a pair is 2/32, and Holm takes it times the pairs."""
    assert smallest_p(2, 5) == stats.wilcoxon([1, 2, 3, 4, 5]).pvalue == 0.0625
    agreed = {name: [float(i)] * 5 for i, name in enumerate("abc")}
    found = rank(agreed, list("12345"))
    assert found.powerless
    assert min(found.adjusted.values()) >= 0.05
    assert not rank({name: row * 4 for name, row in agreed.items()}, list(range(20))).powerless


def test_ranks_without_anything_to_rank():
    assert rank({}, []).ranks == {}
    assert rank({"a": [1.0], "b": [1.0]}, ["x"]).friedman is None
    same = rank({"a": [1.0, 2.0], "b": [1.0, 2.0], "c": [1.0, 2.0]}, ["x", "y"])
    assert set(same.ranks.values()) == {2.0}
    assert same.friedman == 1.0


def test_a_block_is_a_seed_of_a_problem(draw):
    study = draw(problems=("a", "b"), seeds=4, effects={"famo": 20.0, "mgda": -20.0})
    found = rank_methods(study, EPOCHS)
    assert len(found.blocks) == 8
    assert found.ranks["famo"] == 1
    assert found.ranks["mgda"] == len(study.methods)


def test_hypervolume_by_hand():
    """One task up, one down, reference (0, 10): boxes 1 x 8 and 2 x 4, which share 1 x 4."""
    tasks = [judged("up", True), judged("down", False)]
    points = [{"up": 1.0, "down": 2.0}, {"up": 2.0, "down": 6.0}, {"up": 0.5, "down": 7.0}]
    assert hypervolume(points, tasks, {"up": 0.0, "down": 10.0}) == pytest.approx(12.0)
    assert front(points, tasks) == (points[0], points[1])
    assert hypervolume([], tasks, {"up": 0.0, "down": 10.0}) == 0
    assert front([], tasks) == ()


def test_the_sweep_is_that_of_tuned_scalarisation(draw):
    study = draw(trials=6, effects={"famo": 10.0})
    found = trade(study, "faces", EPOCHS)
    ended = [r for r in study.trials_of("faces", "tuned") if r.error is None]
    assert len(found.sweep) == len(ended) > 0
    assert found.volumes["famo"] > found.volumes["equal"]
    assert found.gains["famo"] > 0
    assert all(0 <= volume <= 1 for volume in found.volumes.values())
    one = draw(tasks=(("pose", "accuracy", True, 0.6),))
    assert trade(one, "faces", EPOCHS) is None


def test_costs_are_in_steps_of_equal_weights(draw):
    found = costs(draw(), "faces", EPOCHS)
    assert found["equal"].relative == 1
    assert 2.5 < found["mgda"].relative < 3.5
    assert 2.5 < found["single-task"].relative < 3.1, "four networks of 0.7"
    assert found["single-task"].parameters == 4 * found["equal"].parameters
    assert found["mgda"].peak_memory_bytes > found["equal"].peak_memory_bytes


def test_sensitivity_is_of_trials_that_ended(draw):
    study = draw(trials=8)
    found = sensitivities(study, "faces")
    assert {"equal", "famo", "single-task: pose"} <= set(found)
    one = found["famo"]
    assert len(one.points) + len(one.failed) == 8
    assert one.best[1] == min(score for _, score in one.points)
    assert chosen_settings(study, "faces")["famo"] == {"optimizer.lr": 0.02}


def test_the_extra_is_named_where_it_is_missing(monkeypatch):
    require_libraries()
    monkeypatch.setitem(NEEDED, "no_such_module", "Nothing")
    with pytest.raises(MissingExtraError) as caught:
        require_libraries()
    assert str(caught.value) == (
        "the report of a comparison needs Nothing, which is not installed; "
        "run `pip install 'mtlkit[compare]'`"
    )
