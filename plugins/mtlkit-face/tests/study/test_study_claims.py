"""Each of the paper's claims on results under which it holds, and under which a part fails."""

import copy
import random

import pytest
from mtlkit_face.study.claim_parts import ClaimState
from mtlkit_face.study.claims import judge_all
from mtlkit_face.study.hypotheses import HYPOTHESES
from scipy import stats

SEEDS = range(5)
PROBES = {"x": 0.6, "y": 0.2, "chance": 0.1}
ERRORS = {
    "face/pose-errors/0/expected/rank1": 0.699, "face/pose-errors/0/best/rank1": 0.70,
    "face/pose-errors/0.2/expected/rank1": 0.66, "face/pose-errors/0.2/best/rank1": 0.64,
    "face/pose-errors/0.4/expected/rank1": 0.63, "face/pose-errors/0.4/best/rank1": 0.58,
}  # fmt: skip
GROUPS = {"left": 0.60, "front": 0.80, "right": 0.60}


def rank1(value: float) -> dict[str, float]:
    return {"face/rank1": value}


def groups(**values: float) -> dict[str, float]:
    return {f"face/rank1/group/{name}": value for name, value in {**GROUPS, **values}.items()}


def probes(x: float = 0.6, y: float = 0.2) -> dict[str, float]:
    return {
        f"face/energy/probe/{label}/{what}": value
        for label in ("yaw", "light", "expression")
        for what, value in (("x", x), ("y", y), ("chance", 0.1))
    }


def branches(form: str):
    return {
        form: {**rank1(0.73), **groups(left=0.66, right=0.66, front=0.81)},
        "m-cnn": {**rank1(0.70), **groups()},
    }


ENERGY = "face/energy/rank1"
TRUE = {
    "H1": {
        "s-cnn": rank1(0.70), "m-cnn-pose": rank1(0.72), "m-cnn-illumination": rank1(0.71),
        "m-cnn-expression": rank1(0.72),
    },
    "H2": {"s-cnn": rank1(0.70), "m-cnn-equal": rank1(0.72), "m-cnn": rank1(0.74)},
    "H2b": {
        "m-cnn-equal": rank1(0.70), "m-cnn-pose": rank1(0.69), "m-cnn-illumination": rank1(0.73),
        "m-cnn-expression": rank1(0.71),
    },
    "H3": {
        "m-cnn": {"trace/heaviest-below-mean": 0.8, "trace/correlation": -0.9},
        "m-cnn-harder": {"trace/heaviest-below-mean": -0.5},
        "m-cnn-normalized": {"trace/correlation": -0.6},
    },
    "H4": {
        "m-cnn": rank1(0.74), "s-cnn": rank1(0.70), "s-cnn-l2": rank1(0.71),
        "s-cnn-dropout": rank1(0.72),
    },
    "H5": {"m-cnn": probes(), "s-cnn": probes(x=0.4)},
    "H6": {
        "m-cnn": {
            f"{ENERGY}/x-best": 0.74, f"{ENERGY}/x": 0.70, f"{ENERGY}/y-falls": 0.002,
            "face/energy/overlap/pose/20": 5.0, "face/energy/overlap/pose/20-by-chance": 4.0,
            "face/energy/overlap/pose/80": 20.0, "face/energy/overlap/pose/80-by-chance": 40.0,
        },
        "s-cnn": {f"{ENERGY}/x-best": 0.71, f"{ENERGY}/x": 0.70},
    },
    "H7": branches("p-cnn-block"),
    "H7b": branches("p-cnn"),
    "H8": {"p-cnn-block": ERRORS},
    "H8b": {"p-cnn": ERRORS},
    "H9": {
        "s-cnn": rank1(0.70), "m-cnn-pose": rank1(0.725), "m-cnn-pose-estimated": rank1(0.72),
    },
    "H10": {
        "m-cnn-equal": rank1(0.72), "m-cnn-side-block": rank1(0.71), "p-cnn": rank1(0.74),
        "p-cnn-block": rank1(0.73),
    },
    "H11": {"m-cnn": rank1(0.74), "m-cnn-product": rank1(0.73), "m-cnn-released": rank1(0.72)},
    "H12": {"m-cnn-batch-8": rank1(0.75), "m-cnn": rank1(0.74)},
    "E": {
        "p-cnn-block": rank1(0.76), "s-cnn": rank1(0.70), "s-cnn-second-head": rank1(0.71),
        "s-cnn-second-block": rank1(0.73), "s-cnn-ensemble": rank1(0.74),
        "s-cnn-wide": rank1(0.72), "s-cnn-mirror": {**rank1(0.70), "face/mirrored/rank1": 0.73},
        "m-cnn-second-block": rank1(0.75),
    },
}  # fmt: skip

FALSE = [
    ("H1", "m-cnn-pose", rank1(0.68)),
    ("H1", "m-cnn-illumination", rank1(0.68)),
    ("H1", "m-cnn-expression", rank1(0.68)),
    ("H2", "m-cnn-equal", rank1(0.69)),
    ("H2", "m-cnn", rank1(0.71)),
    ("H2b", "m-cnn-equal", rank1(0.74)),
    ("H3", "m-cnn", {"trace/heaviest-below-mean": -0.8}),
    ("H3", "m-cnn", {"trace/correlation": 0.5}),
    ("H3", "m-cnn-harder", {"trace/heaviest-below-mean": 0.5}),
    ("H3", "m-cnn-normalized", {"trace/correlation": 0.4}),
    ("H4", "s-cnn", rank1(0.75)),
    ("H4", "s-cnn-l2", rank1(0.75)),
    ("H4", "s-cnn-dropout", rank1(0.75)),
    ("H5", "m-cnn", probes(y=0.5)),
    ("H5", "s-cnn", probes(x=0.7)),
    ("H6", "m-cnn", {f"{ENERGY}/x-best": 0.70}),
    ("H6", "m-cnn", {f"{ENERGY}/y-falls": 0.05}),
    ("H6", "m-cnn", {"face/energy/overlap/pose/80": 60.0}),
    ("H7", "p-cnn-block", rank1(0.68)),
    ("H7", "p-cnn-block", groups(left=0.61, right=0.61, front=0.90)),
    ("H7b", "p-cnn", rank1(0.68)),
    ("H8", "p-cnn-block", {"face/pose-errors/0/expected/rank1": 0.60}),
    ("H8", "p-cnn-block", {"face/pose-errors/0.2/expected/rank1": 0.60}),
    ("H8", "p-cnn-block", {"face/pose-errors/0.4/expected/rank1": 0.55}),
    ("H8b", "p-cnn", {"face/pose-errors/0.4/expected/rank1": 0.55}),
    ("H9", "m-cnn-pose-estimated", rank1(0.69)),
    ("H9", "m-cnn-pose", rank1(0.76)),
    ("H10", "m-cnn-side-block", rank1(0.73)),
    ("H10", "p-cnn-block", rank1(0.75)),
    ("H11", "m-cnn-product", rank1(0.75)),
    ("H11", "m-cnn-released", rank1(0.75)),
    ("H12", "m-cnn-batch-8", rank1(0.73)),
    ("E", "s-cnn", rank1(0.77)),
    ("E", "s-cnn-second-head", rank1(0.77)),
    ("E", "s-cnn-second-block", rank1(0.77)),
    ("E", "s-cnn-ensemble", rank1(0.77)),
    ("E", "s-cnn-wide", rank1(0.77)),
    ("E", "s-cnn-mirror", {"face/mirrored/rank1": 0.77}),
    ("E", "m-cnn-second-block", rank1(0.77)),
]


def runs_of(world):
    """Return runs of five seeds with a little noise in every number."""
    noise = random.Random(0)
    return {
        arm: {
            seed: {name: value + noise.gauss(0, 5e-4) for name, value in metrics.items()}
            for seed in SEEDS
        }
        for arm, metrics in world.items()
    }


def result_of(runs, name: str):
    (hypothesis,) = [hypothesis for hypothesis in HYPOTHESES if hypothesis.name == name]
    return hypothesis.test(runs)


def test_every_claim_of_the_paper_has_a_world():
    assert [hypothesis.name for hypothesis in HYPOTHESES] == list(TRUE)
    assert {f"H{number}" for number in range(1, 13)} <= set(TRUE)
    assert {name for name, _, _ in FALSE} == set(TRUE)


def test_without_runs_every_claim_is_not_run():
    assert {hypothesis.test({}).state for hypothesis in HYPOTHESES} == {ClaimState.NOT_RUN}


@pytest.mark.parametrize("name", TRUE)
def test_a_claim_is_supported_where_it_holds(name):
    assert result_of(runs_of(TRUE[name]), name).state is ClaimState.SUPPORTED


@pytest.mark.parametrize("number", range(len(FALSE)))
def test_a_claim_is_contradicted_where_a_part_of_it_fails(number):
    name, arm, changes = FALSE[number]
    world = copy.deepcopy(TRUE[name])
    world[arm] |= changes
    assert result_of(runs_of(world), name).state is ClaimState.CONTRADICTED


@pytest.mark.parametrize("name", TRUE)
def test_arms_that_are_missing_leave_a_claim_open(name):
    for arm in TRUE[name]:
        world = {key: value for key, value in TRUE[name].items() if key != arm}
        assert result_of(runs_of(world), name).state in (ClaimState.NOT_RUN, ClaimState.UNDECIDED)


@pytest.mark.parametrize("name", TRUE)
def test_a_run_that_is_missing_takes_its_seed_with_it(name):
    """Values of different seeds are never paired."""
    for arm in TRUE[name]:
        runs = runs_of(TRUE[name])
        for metrics in runs.values():
            # a seed far off in all arms: were it paired with another, the difference would show
            metrics[1] = {key: value + 100.0 for key, value in metrics[1].items()}
        del runs[arm][0]
        whole = result_of(runs, name)
        for part in whole.parts:
            single = len(part.values) == len(SEEDS)  # a part without this arm
            alone = len(part.arms) == 1  # a value of one arm, no difference
            assert single or alone or max(map(abs, part.values)) < 10, part


def test_the_best_side_task_is_selected_on_other_seeds():
    """Three useless tasks, each lucky once: the best of each seed would always lead."""
    singles = ("m-cnn-pose", "m-cnn-illumination", "m-cnn-expression")
    runs = {
        single: {seed: rank1(0.70 + (0.05 if seed == number else 0.0)) for seed in range(3)}
        for number, single in enumerate(singles)
    }
    runs["m-cnn-equal"] = {seed: rank1(0.71) for seed in range(3)}
    (part,) = result_of(runs, "H2b").parts
    assert part.estimate.mean == pytest.approx(-0.01)


def test_a_claim_without_runs_names_the_networks_that_it_needs():
    texts = {result.name: result.evidence() for result in judge_all(HYPOTHESES, {})}
    assert texts["H12"] == "no common seeds of m-cnn-batch-8, m-cnn"
    assert texts["H3"] == "no common seeds of m-cnn, m-cnn-harder, m-cnn-normalized"
    for name, arms in TRUE.items():
        assert all(arm in texts[name] for arm in arms), name
    partial = {arm: {0: rank1(0.7)} for arm in ("m-cnn", "s-cnn", "s-cnn-l2")}
    texts = {result.name: result.evidence() for result in judge_all(HYPOTHESES, partial)}
    assert texts["H4"] == "no seeds of s-cnn-dropout"


def test_verdicts_are_adjusted_for_the_number_of_claims():
    """One claim at p = 0.02 is decided alone, and not among four."""
    gains = (0.02, 0.01, 0.03, 0.015, 0.005)
    runs = {
        "m-cnn-batch-8": {seed: rank1(0.7 + gain) for seed, gain in enumerate(gains)},
        "m-cnn": {seed: rank1(0.7) for seed in range(5)},
    }
    alone = {result.name: result for result in judge_all(HYPOTHESES, runs)}
    assert alone["H12"].tests == 1
    assert alone["H12"].state is ClaimState.SUPPORTED
    assert alone["H12"].evidence() == f"p = {stats.ttest_1samp(gains, 0).pvalue:.2g}"
    arms = ("m-cnn-product", "m-cnn-released", "m-cnn-side-block", "m-cnn-equal", "p-cnn")
    other = {arm: rank1(0.7) for arm in (*arms, "p-cnn-block", "s-cnn")}
    results = {result.name: result for result in judge_all(HYPOTHESES, runs_of(other) | runs)}
    among = results["H12"]
    assert among.tests == 4  # H2, H10, H11 and H12
    assert among.state is ClaimState.UNDECIDED
    assert among.p == pytest.approx(min(1, among.tests * alone["H12"].p))
    assert among.evidence().endswith("missing")
    (part,) = among.parts
    assert among.evidence() == f"{part.seeds_needed(among.tests) - 5} seeds missing"
