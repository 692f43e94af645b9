"""The verdicts and the report of a study, on synthetic results."""

import random

import numpy as np
import pytest
from mtlkit_face.study.arms import ARMS, search_arms, select_arms
from mtlkit_face.study.claim_parts import (
    ClaimPart,
    ClaimState,
    claim_state,
    difference,
    search_results,
)
from mtlkit_face.study.learning_curves import curve_charts, curve_metrics
from mtlkit_face.study.paper_results import PAPER_RESULTS
from mtlkit_face.study.report import FaceStudy, sections
from mtlkit_face.study.report_files import write_study
from mtlkit_face.study.sizes import FULL, SIZES, SMALL
from scipy import stats

from mtlkit import load_catalog
from mtlkit.assembly import Assembly
from mtlkit.callbacks import EvaluationEvent, StepEvent
from mtlkit.data import ClassTarget, InputSpec
from mtlkit.model import assemble
from mtlkit.plugins import RunError

SEEDS = range(5)


def runs_of(**rank1: float):
    """Return runs with these mean rank-1s by arm, and noise shared by the runs of a seed."""
    noise = random.Random(0)
    shared = [noise.gauss(0, 0.02) for _ in SEEDS]
    return {
        arm.replace("_", "-"): {
            seed: {
                "face/rank1": mean + shared[seed] + noise.gauss(0, 0.003),
                **{f"face/rank1/group/{g}": mean for g in ("left", "front", "right")},
                "seconds": 60.0,
            }
            for seed in SEEDS
        }
        for arm, mean in rank1.items()
    }


def test_the_interval_is_that_of_students_t():
    values = (0.02, -0.01, 0.03, 0.015, 0.0)
    part = ClaimPart(unit="gain", values=values)
    expected = stats.t.interval(0.95, 4, loc=part.estimate.mean, scale=stats.sem(values))
    assert (part.estimate.low, part.estimate.high) == pytest.approx(expected)
    assert part.state is ClaimState.UNDECIDED
    assert (stats.ttest_1samp(values, 0).pvalue < 0.05) == (part.state is ClaimState.SUPPORTED)


def test_one_seed_decides_nothing_and_none_is_not_run():
    assert ClaimPart(unit="gain", values=(1.0,)).state is ClaimState.UNDECIDED
    assert ClaimPart(unit="gain").state is ClaimState.NOT_RUN
    assert claim_state([]) is ClaimState.NOT_RUN


def test_the_seeds_needed_show_a_mean_of_that_size():
    values = [0.01 + 0.02 * x for x in (-1, 1, -1, 1)]
    part = ClaimPart(unit="gain", values=values)
    effect = part.estimate.mean / np.std(values, ddof=1)
    needed = part.seeds_needed()
    freedom, shift = needed - 1, effect * needed**0.5
    power = 1 - stats.nct.cdf(stats.t.ppf(0.975, freedom), freedom, shift)
    assert 0.8 <= power < 0.85


def test_a_claim_is_as_weak_as_its_weakest_part():
    good, bad = (ClaimPart(unit="a", values=(x, 1.1 * x, 0.9 * x)) for x in (1.0, -1.0))
    open_ = ClaimPart(unit="c", values=(1.0, -1.0))
    assert claim_state([good, good]) is ClaimState.SUPPORTED
    assert claim_state([good, open_]) is ClaimState.UNDECIDED
    assert claim_state([good, open_, bad]) is ClaimState.CONTRADICTED


def test_of_many_parts_one_is_not_below_zero_by_chance():
    shown = ClaimPart(unit="b", values=(-1.0, -1.2, -0.6))
    assert 0.05 / 3 < stats.ttest_1samp(shown.values, 0).pvalue < 0.05
    other = ClaimPart(unit="c", values=(1.0, -1.0, 0.1))
    assert claim_state([shown]) is ClaimState.CONTRADICTED
    assert claim_state([shown, other, other]) is ClaimState.UNDECIDED


def test_differences_that_do_not_vary_show_nothing():
    assert ClaimPart(unit="a", values=(0.5, 0.5, 0.5)).state is ClaimState.UNDECIDED


def test_rounding_errors_are_no_difference():
    part = ClaimPart(unit="a", values=[0.01 - (0.8 - 0.79)] * 3)  # -8.7e-18
    assert part.estimate.mean == 0
    assert part.seeds_needed() is None


def test_pairs_are_of_one_seed():
    runs = runs_of(s_cnn=0.7, m_cnn=0.75)
    del runs["m-cnn"][3]
    part = difference(runs, "m-cnn", "s-cnn")
    assert len(part.values) == 4
    assert np.std(part.values) < 0.01  # the noise that a seed's runs share is gone


def test_the_search_is_a_table_by_weight():
    values = {"search-0.1": (0.5, 0.52), "search-1": (0.6,)}
    runs = {
        arm: {seed: {"face/rank1": value, "seconds": 1.0} for seed, value in enumerate(ranks)}
        for arm, ranks in values.items()
    }
    results = {weight: part.values for weight, part in search_results(runs).items()}
    assert results == {0.1: values["search-0.1"], 1.0: values["search-1"]}
    study = FaceStudy(size=SMALL, arms=select_arms(("search",), SMALL), seeds=[0, 1], runs=runs)
    (table,) = [b for s in sections(study) for b in s.blocks if "The search" in str(b)]
    assert table.rows == (("0.1", "51.0 ± 12.7", 2), ("1", "60.0", 1))
    assert "1 is best" in table.caption
    assert search_results({}) == {}


def test_wrong_poses_are_a_table_by_share():
    metrics = {
        f"face/pose-errors/{share}/{way}/rank1": value
        for share, way, value in [
            ("0", "expected", 0.7), ("0", "best", 0.7), ("0.4", "expected", 0.6),
            ("0.4", "best", 0.5),
        ]
    }  # fmt: skip
    arm = ARMS["p-cnn"]
    runs = {"p-cnn": {0: {**metrics, "face/rank1": 0.7, "face/label/rank1": 0.71, "seconds": 1.0}}}
    study = FaceStudy(size=SMALL, arms=[arm], seeds=[0], runs=runs)
    (table,) = [b for s in sections(study) for b in s.blocks if "another group" in str(b)]
    assert table.rows == (
        ("p-cnn", "0%", "70.0", "70.0", "71.0"), ("p-cnn", "40%", "60.0", "50.0", "71.0"),
    )  # fmt: skip


@pytest.mark.parametrize("size", SIZES.values(), ids=lambda size: size.name)
def test_every_arm_is_a_recipe_of_every_size(size):
    catalog = load_catalog()
    for arm in select_arms(("all",), size):
        recipe = size.recipe(arm, 3, catalog)
        assert recipe.seed == 3
        assert recipe.problems() == []


def test_the_search_uses_no_test_subject():
    catalog = load_catalog()
    for size in (SMALL, FULL):
        main = size.recipe(ARMS["s-cnn"], 0, catalog).data
        for arm in search_arms(size).values():
            data = size.recipe(arm, 0, catalog).data
            assert data.subjects + data.test_subjects == main.subjects


def test_an_arm_that_full_size_has_by_another_name_is_not_trained_twice():
    recipes = [FULL.recipe(arm, 0, load_catalog()) for arm in select_arms(("all",), FULL)]
    assert all(one not in recipes[:index] for index, one in enumerate(recipes))
    assert "m-cnn-fast-gate" in {arm.name for arm in select_arms(("all",), SMALL)}
    assert [arm.name for arm in select_arms(("search-0.1",), SMALL)] == ["search-0.1"]


def test_an_unknown_arm_is_an_error_with_the_names():
    with pytest.raises(RunError, match="no arm of the study is named 'm-cn'; did you mean 'm-cnn'"):
        select_arms(("m-cn",), SMALL)


def test_every_row_of_the_papers_table_has_its_arm():
    assert set(PAPER_RESULTS) <= set(ARMS)


def test_the_report_has_the_papers_results(tmp_path):
    arms = select_arms(("core",), SMALL)
    runs = runs_of(s_cnn=0.70, m_cnn_equal=0.72, m_cnn=0.74)
    study = FaceStudy(
        size=SMALL, arms=arms, seeds=list(SEEDS), runs=runs, failed={"p-cnn, seed 0": "no memory"}
    )
    page = write_study(study, tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "15 of 20 runs are finished" in text
    assert "| · the paper | 79.35 | 76.60 | 84.65 | 76.82 | 99.81 | 93.40 | 91.47 |" in text
    assert "| H2 |" in text
    assert "no memory" in text
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert len((tmp_path / "results.csv").read_text().splitlines()) == 1 + 15 * 5


def step(epoch: float, **values: tuple[float, float]) -> StepEvent:
    return StepEvent(
        step=int(100 * epoch),
        epoch=epoch,
        learning_rate=0.1,
        losses={task: loss for task, (loss, _) in values.items()},
        weights={task: weight for task, (_, weight) in values.items()},
    )


def test_a_curve_has_means_since_the_previous_evaluation():
    events = [
        step(0.5, identity=(4.0, 1.0), pose=(2.0, 0.3)),
        step(1.0, identity=(2.0, 1.0), pose=(1.0, 0.5)),
        EvaluationEvent(step=100, epoch=1.0, metrics={"identity/accuracy": 0.5, "other": 9.0}),
        step(1.5, identity=(1.0, 1.0), pose=(0.5, 0.9)),
        EvaluationEvent(step=150, epoch=1.5, metrics={"identity/accuracy": 0.75}),
        step(2.0, identity=(0.1, 1.0)),  # nothing was evaluated after it
    ]
    metrics = curve_metrics(events)
    assert metrics.pop("epoch-1/loss/pose") == pytest.approx(1.5)
    assert metrics.pop("epoch-1/weight/pose") == pytest.approx(0.4)
    assert metrics == {
        "epoch-1/accuracy/identity": 0.5, "epoch-1/loss/identity": 3.0,
        "epoch-1/weight/identity": 1.0, "epoch-1.5/accuracy/identity": 0.75,
        "epoch-1.5/loss/identity": 1.0, "epoch-1.5/loss/pose": 0.5,
        "epoch-1.5/weight/identity": 1.0, "epoch-1.5/weight/pose": 0.9,
    }  # fmt: skip


def test_curves_are_means_over_seeds_and_constant_weights_are_not_drawn():
    runs = {
        "m-cnn": {
            seed: {
                "epoch-5/accuracy/identity": 0.5 + seed, "epoch-10/accuracy/identity": 0.7 + seed,
                "epoch-5/weight/pose": 0.1, "epoch-10/weight/pose": 0.1,
                "epoch-5/weight/expression": 0.1, "epoch-10/weight/expression": 0.3,
            }
            for seed in (0, 1)
        }
    }  # fmt: skip
    accuracy, weights = curve_charts(runs, ["s-cnn", "m-cnn"])
    assert accuracy.series["m-cnn"].x == (5.0, 10.0)
    assert accuracy.series["m-cnn"].y == pytest.approx((1.0, 1.2))
    assert list(weights.series) == ["m-cnn: expression"]


def test_an_empty_study_has_a_report():
    study = FaceStudy(size=FULL, arms=select_arms(("core",), FULL), seeds=[0], runs={})
    text = sections(study)[0].blocks[0].text
    assert text.startswith("0 of 4 runs are finished")


@pytest.mark.parametrize("size", SIZES.values(), ids=lambda size: size.name)
def test_the_wide_network_has_as_many_parameters_as_the_one_with_pose_blocks(size):
    def parameters(arm: str) -> int:
        recipe = size.recipe(ARMS[arm], 0, load_catalog())
        yaws = tuple(str(yaw) for yaw in range(-90, 91, 15))
        classes = {"subject": recipe.data.subjects, "light": 20, "expression": 6}
        targets = {
            name: ClassTarget(names=yaws if task.target == "yaw"
                              else tuple(map(str, range(classes[task.target]))))
            for name, task in recipe.tasks.items()
        }  # fmt: skip
        assembly = Assembly(inputs=InputSpec(shape=(1, 32, 32)), targets=targets)
        model = assemble(recipe.backbone, recipe.router, recipe.tasks, assembly)
        return sum(parameter.numel() for parameter in model.parameters())

    assert parameters("s-cnn-wide") == pytest.approx(parameters("p-cnn-block"), rel=0.03)
    assert parameters("s-cnn") < 0.5 * parameters("p-cnn-block")


@pytest.mark.parametrize("size", [SIZES["quick"], SIZES["small"]], ids=lambda size: size.name)
def test_small_batches_move_the_network_and_the_gate_as_far_in_an_epoch(size):
    small, usual = (size.recipe(ARMS[arm], 0, load_catalog()) for arm in ("m-cnn-batch-8", "m-cnn"))
    updates = usual.train.batch / small.train.batch
    assert small.train.batch == 8
    assert updates == {"quick": 2, "small": 4}[size.name]
    assert small.optimizer.lr * updates == pytest.approx(usual.optimizer.lr)
    rates = (recipe.weighting.learning_rate for recipe in (small, usual))
    assert next(rates) * updates == pytest.approx(next(rates))


def test_a_page_of_many_networks_describes_the_core_ones():
    runs = {arm.name: {seed: {"face/rank1": 0.5 + seed / 10, "seconds": 1.0} for seed in (0, 1)}
            for arm in select_arms(("core", "controls"), FULL)}  # fmt: skip
    many = FaceStudy(
        size=FULL, arms=select_arms(("core", "controls"), FULL), seeds=[0, 1], runs=runs
    )
    few = FaceStudy(
        size=FULL, arms=select_arms(("controls", "s-cnn"), FULL), seeds=[0, 1], runs=runs
    )
    texts = [sections(study)[0].blocks[0].text for study in (many, few)]
    assert ["p-cnn-block:" in text for text in texts] == [True, False]
    assert ["s-cnn-wide:" in text for text in texts] == [False, True]
