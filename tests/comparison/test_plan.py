"""The plan: who runs what, how often, and with which settings."""

from collections import Counter

import attrs
import pytest

from mtlkit.comparison.execute.plan import method_jobs, planned, ready_runs
from mtlkit.comparison.results.record import Budget, Stage
from mtlkit.comparison.spec.comparison import BASELINES
from mtlkit.comparison.spec.recipes import for_final, for_trial, recipe_of, with_settings
from mtlkit.routers import Grouped, Shared
from mtlkit.runs.tuning.search import Searched, Tried, propose
from mtlkit.weightings import Fixed

FILE = """
problems: {plane: recipe.yaml, other: recipe.yaml}
weightings: [dynamic, {name: half, weighting: famo, search: {weighting.learning_rate: {low: 0.01, high: 0.1}}}]
seeds: [4, 7]
tuning: {trials: 3, seed: 5, search: {optimizer.lr: {low: 0.01, high: 0.2, log: true}}}
budgets: [epochs, time]
"""  # noqa: E501


@pytest.fixture
def comparison(bench):
    return bench.load(FILE)


def test_every_method_has_as_many_trials_and_the_same_seeds(comparison):
    runs = planned(comparison)
    trials = Counter((r.problem, r.method, r.task) for r in runs if r.stage is Stage.TRIAL)
    assert set(trials.values()) == {3}
    finals = {}
    for run in runs:
        if run.stage is Stage.FINAL:
            finals.setdefault((run.problem, run.method, run.task), []).append(
                (run.budget, run.seed)
            )
    pairs = [(budget, seed) for budget in Budget for seed in (4, 7)]
    assert all(found == pairs for found in finals.values())
    assert set(finals) == set(trials)
    methods = {method for _, method, _ in trials}
    assert methods == {*(method.name for method in BASELINES), "dynamic", "half"}
    assert {r.seed for r in runs if r.stage is Stage.TRIAL} == {5}


def test_every_run_has_a_key_of_its_own(comparison):
    keys = [record.key for record in planned(comparison)]
    assert len(set(keys)) == len(keys) == 2 * (3 + 4) * (2 + 6)


def test_no_search_means_no_trials(bench):
    for text in ("trials: 0", "trials: 1"):
        found = bench.load(f"problems: {{plane: recipe.yaml}}\ntuning: {{{text}}}\n")
        assert {record.stage for record in planned(found)} == {Stage.FINAL}


def test_a_search_begins_with_the_recipes_own_settings(comparison):
    for method_job in method_jobs(comparison):
        (first,) = ready_runs(method_job, comparison, {})
        own = {"optimizer.lr": 0.05}
        if method_job.method.name == "tuned":
            own["weighting.weights.size"] = 1.0
        if method_job.method.name == "half":
            own["weighting.learning_rate"] = method_job.recipe.weighting.learning_rate
        assert first.record.settings == own
        assert first.record.trial == 0


def test_methods_see_the_same_values_of_what_they_share(comparison):
    second = {}
    for method_job in method_jobs(comparison):
        first = attrs.evolve(method_job.trial(0, 5), settings={"optimizer.lr": 0.05}, score=1.0)
        (found,) = ready_runs(method_job, comparison, {first.key: first})
        second[method_job.method.name] = found.record.settings["optimizer.lr"]
    assert len(set(second.values())) == 1
    assert 0.01 <= second["equal"] <= 0.2
    assert second["equal"] != 0.05


def test_the_best_trial_gives_the_settings_of_the_final_runs(comparison):
    method_job = next(s for s in method_jobs(comparison) if s.method.name == "equal")
    scores = [(1.0, 0.05), (0.8, 0.1), (None, 0.19)]
    known = {}
    for number, (score, rate) in enumerate(scores):
        trial = attrs.evolve(
            method_job.trial(number, 5),
            settings={"optimizer.lr": rate},
            score=score,
            error=None if score else "NotFiniteError: too large",
        )
        known[trial.key] = trial
    ready = ready_runs(method_job, comparison, known)
    assert [each.record.settings["optimizer.lr"] for each in ready] == [0.1, 0.1]
    assert [each.record.seed for each in ready] == [4, 7]
    none = {key: attrs.evolve(trial, score=None, error="x") for key, trial in known.items()}
    assert {each.skip_reason for each in ready_runs(method_job, comparison, none)} == {
        "no trial came to its end"
    }


def final(method_job, seed, seconds, budget=Budget.EPOCHS, epochs=2):
    return attrs.evolve(
        method_job.final(seed, budget), seconds=seconds, steps=100, epochs=epochs, settings={}
    )


def test_a_step_that_costs_twice_as_much_leaves_half_the_epochs(bench, tiny):
    found = bench.load(
        "problems: {plane: {recipe: recipe.yaml, set: [train.epochs=10]}}\nweightings: [gls]\n"
        "seeds: 2\nbudgets: [epochs, time]\n"
    )
    all_strands = method_jobs(found)
    seconds = {"equal": 1.0, "gls": 2.0, "single-task": 0.8, "log": 1.01}
    known = {}
    for method_job in all_strands:
        for seed in (0, 1):
            record = final(method_job, seed, seconds.get(method_job.method.name, 1.0))
            known[record.key] = record
    epochs = {}
    for method_job in all_strands:
        runs = ready_runs(method_job, found, known)
        assert {run.record.budget for run in runs} == {Budget.TIME}
        (epochs[method_job.method.name],) = {run.epochs for run in runs}
    assert epochs == {"equal": 10, "gls": 5, "log": 10, "tuned": 10, "rlw": 10, "single-task": 6}
    # what was begun is not changed by what is measured later
    gls = next(method_job for method_job in all_strands if method_job.method.name == "gls")
    made = final(gls, 0, 0.1, Budget.TIME, epochs=4)
    assert [run.epochs for run in ready_runs(gls, found, {**known, made.key: made})] == [4]
    # and nothing is begun before all is measured
    del known[final(gls, 1, 0).key]
    assert {run.record.budget for run in ready_runs(gls, found, known)} == {Budget.EPOCHS}


def test_a_network_for_one_task_has_the_router_only_where_it_fits(bench, tiny):
    found = bench.load()
    recipe = found.problems["plane"].recipe
    grouped = attrs.evolve(
        recipe, router=Grouped(task="size", by="sign", groups={"a": ("below",), "b": ("above",)})
    )
    alone = recipe_of(grouped, BASELINES[0], "sign")
    assert alone.router == Shared()
    assert list(alone.tasks) == ["sign"]
    assert not alone.problems()


def test_settings_are_set_where_they_belong(bench, tiny):
    recipe = bench.load().problems["plane"].recipe
    found = with_settings(recipe, {"optimizer.lr": 0.1, "train.batch": 7}, tiny.catalog())
    assert (found.optimizer.lr, found.train.batch) == (0.1, 7)
    weighed = with_settings(recipe, {"weighting.weights.sign.branches": 0.3}, tiny.catalog())
    assert weighed.weighting == Fixed(weights={"sign.branches": 0.3})


def test_only_final_runs_may_read_the_test_split(bench):
    recipe = bench.load().problems["plane"].recipe
    assert not for_trial(recipe, 3).train.test
    assert for_trial(recipe, 3).evaluators == ()
    again = for_final(for_trial(recipe, 3), 4, 9)
    assert (again.train.test, again.train.epochs, again.seed) == (True, 9, 4)


@pytest.mark.parametrize(
    "searched",
    [
        Searched(low=0.1, high=0.5),
        Searched(low=2, high=9),
        Searched(low=1e-4, high=1.0, log=True),
        Searched(choices=("a", "b")),
    ],
)
def test_a_proposal_is_a_function_of_what_is_known(searched):
    space = {"x": searched, "y": Searched(low=0.0, high=1.0)}
    tried = [Tried(propose(space, [], seed=1, number=n), float(n)) for n in range(12)]
    found = [propose(space, tried, seed=1, number=12) for _ in range(2)]
    assert found[0] == found[1]
    assert all(searched.has(trial.settings["x"]) for trial in tried)
    others = [propose(space, [], seed=seed, number=12)["y"] for seed in range(5)]
    assert len(set(others)) == 5
    strange = Tried({"x": "not of this search", "y": 0.5}, 0.0)
    assert propose(space, [*tried, strange], seed=1, number=12) == found[0]
