"""A search for weights: what it tries, what it keeps, how it goes on."""

import json
import math
import sys

import attrs
import pytest

from mtlkit.data import DataSource, Loading
from mtlkit.errors import (
    DataError,
    InterruptedRunError,
    MissingExtraError,
    NotFiniteError,
    RecipeError,
    RunError,
)
from mtlkit.evaluators import TaskMetrics
from mtlkit.metrics import Accuracy
from mtlkit.plugins.families import Registrar
from mtlkit.plugins.registry import Origin
from mtlkit.recipe_io import load_recipe
from mtlkit.runs import fit_once as module
from mtlkit.runs.tuning.tune import WeightSearch, tune
from mtlkit.task_types import Role


@attrs.frozen(kw_only=True)
class Undivided(DataSource):
    """The data of another source, without a validation split."""

    whole: DataSource

    def load(self, loading: Loading):
        return attrs.evolve(self.whole.load(loading), validation=None)


@pytest.fixture
def recipe(points):
    return attrs.evolve(points.PLAIN, train=attrs.evolve(points.PLAIN.train, epochs=2))


@pytest.fixture
def own_catalog(points):
    found = points.catalog()
    own = Registrar(found, "", Origin("test", "0", __file__))
    own.data.add("undivided", Undivided, "no validation split")
    own.commit()
    return found


SEARCH = WeightSearch(trials=3, seed=4)


def tuned_in(folder, recipe, catalog, search=SEARCH):
    return tune(recipe, folder, search, catalog=catalog, quiet=True)


def test_equal_weights_come_first_and_every_trial_is_a_run(recipe, own_catalog, tmp_path):
    found = tuned_in(tmp_path / "t", recipe, own_catalog)
    assert [trial.number for trial in found.trials] == [0, 1, 2]
    assert found.trials[0].weights == {"side": 1.0, "rare": 1.0, "age": 1.0}
    assert found.trials[0].score == 1
    for trial in found.trials:
        assert all(0.01 <= weight <= 10 for weight in trial.weights.values())
        assert (found.run(trial.number) / "report.html").exists()
        gaps = [1 - one.values["who"] for one in (trial, found.trials[0])]  # of the accuracy
        assert trial.score == pytest.approx(gaps[0] / gaps[1])
    assert found.best.score == min(trial.score for trial in found.trials)
    assert [json.loads(line)["number"] for line in found.table.read_text().splitlines()] == [
        0,
        1,
        2,
    ]
    best = load_recipe(found.recipe, own_catalog)
    assert best.weighting.weights == found.best.weights
    assert found.picture.read_text().lstrip().startswith("<?xml")


def test_it_goes_on_where_it_was_stopped_and_comes_to_the_same(
    recipe, own_catalog, tmp_path, monkeypatch
):
    whole = tuned_in(tmp_path / "whole", recipe, own_catalog)
    fit, trained = module.begin, []

    def stopping(recipe, path, **options):
        if path.name == "001":
            raise InterruptedRunError("stopped at once")
        trained.append(path.name)
        return fit(recipe, path, **options)

    def counting(recipe, path, **options):
        trained.append(path.name)
        return fit(recipe, path, **options)

    monkeypatch.setattr(module, "begin", stopping)
    with pytest.raises(InterruptedRunError, match=r"in trial 2 of 3; the same command continues"):
        tuned_in(tmp_path / "parts", recipe, own_catalog)
    monkeypatch.setattr(module, "begin", counting)
    parts = tuned_in(tmp_path / "parts", recipe, own_catalog)
    assert trained == ["000", "001", "002"]  # nothing is trained twice
    assert parts.trials == whole.trials


def test_more_trials_go_on_with_a_search_and_other_bounds_do_not(recipe, own_catalog, tmp_path):
    found = tuned_in(tmp_path, recipe, own_catalog, WeightSearch(trials=1, seed=4))
    more = tuned_in(tmp_path, recipe, own_catalog, WeightSearch(trials=2, seed=4))
    assert more.trials[:1] == found.trials
    with pytest.raises(RunError, match="holds a search with another highest and seed"):
        tuned_in(tmp_path, recipe, own_catalog, WeightSearch(trials=2, seed=5, highest=2.0))
    with pytest.raises(RunError, match="holds a search with another recipe"):
        tuned_in(tmp_path, attrs.evolve(recipe, seed=9), own_catalog)


def test_a_trial_that_breaks_does_not_end_the_search(recipe, own_catalog, tmp_path, monkeypatch):
    fit = module.begin

    def breaking(recipe, path, **options):
        if path.name == "001":
            raise NotFiniteError("step 3: the loss of age is not finite", step=3, tasks=[], ids=[])
        return fit(recipe, path, **options)

    monkeypatch.setattr(module, "begin", breaking)
    found = tuned_in(tmp_path / "t", recipe, own_catalog)
    assert [trial.score is None for trial in found.trials] == [False, True, False]
    assert "not finite" in found.trials[1].reason


def test_without_a_main_task_all_are_scored(recipe, own_catalog, tmp_path):
    tasks = {name: attrs.evolve(task, role=Role.SIDE) for name, task in recipe.tasks.items()}
    found = tuned_in(tmp_path / "t", attrs.evolve(recipe, tasks=tasks), own_catalog,
                     WeightSearch(trials=2, seed=4))  # fmt: skip
    first, second = found.trials
    assert set(second.weights) == {"side", "rare", "age"}
    best = {"who": 1, "side": 1, "rare": 1, "age": 0}  # accuracies, and a mean absolute error
    assert set(first.values) == set(best)
    ratios = [(second.values[t] - best[t]) / (first.values[t] - best[t]) for t in best]
    assert second.score == pytest.approx(sum(ratios) / len(ratios))


def test_the_primary_metric_scores_a_trial(recipe, own_catalog, tmp_path):
    tasks = {
        name: attrs.evolve(task, role=Role.MAIN if name == "age" else Role.SIDE)
        for name, task in recipe.tasks.items()
    }
    tasks["age"] = attrs.evolve(tasks["age"], primary="r2")
    found = tuned_in(tmp_path / "t", attrs.evolve(recipe, tasks=tasks), own_catalog)
    gaps = [1 - trial.values["age"] for trial in found.trials]
    assert [trial.score for trial in found.trials] == pytest.approx([g / gaps[0] for g in gaps])
    assert found.best.values["age"] == max(trial.values["age"] for trial in found.trials)


@attrs.frozen(kw_only=True)
class Unbounded(Accuracy):
    """A metric without a best value."""

    bounds = (0.0, math.inf)


def test_a_metric_without_a_best_value_scores_no_trial(recipe, own_catalog, tmp_path):
    who = attrs.evolve(recipe.tasks["who"], metrics=(Unbounded(),))
    endless = attrs.evolve(recipe, tasks={**recipe.tasks, "who": who})
    with pytest.raises(RecipeError, match=r"tasks.who.primary: 'accuracy' has no best value"):
        tuned_in(tmp_path / "t", endless, own_catalog)


def test_what_cannot_be_searched_is_said(recipe, own_catalog, tmp_path, monkeypatch):
    alone = attrs.evolve(recipe, tasks={"who": recipe.tasks["who"]})
    with pytest.raises(RecipeError, match="'who' is the only loss, so there is no weight"):
        tuned_in(tmp_path / "a", alone, own_catalog)
    undivided = attrs.evolve(recipe, data=Undivided(whole=recipe.data))
    with pytest.raises(DataError, match="scored on the validation split, and this data has none"):
        tuned_in(tmp_path / "b", undivided, own_catalog)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").touch()
    with pytest.raises(RunError, match="is not empty; expected a new or empty folder"):
        tuned_in(tmp_path / "full", recipe, own_catalog)
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mtlkit\[tune\]'"):
        tuned_in(tmp_path / "c", recipe, own_catalog)


def test_where_equal_weights_break_the_next_trial_is_the_unit(
    recipe, own_catalog, tmp_path, monkeypatch
):
    fit = module.begin

    def breaking(recipe, path, **options):
        if path.name == "000":
            raise NotFiniteError("step 3: the loss of age is not finite", step=3, tasks=[], ids=[])
        return fit(recipe, path, **options)

    monkeypatch.setattr(module, "begin", breaking)
    found = tuned_in(tmp_path / "t", recipe, own_catalog)
    assert [trial.score is None for trial in found.trials] == [True, False, False]
    assert found.trials[1].score == 1


def test_the_best_recipe_keeps_what_the_recipe_asked_of_a_trained_model(
    recipe, own_catalog, tmp_path
):
    asked = attrs.evolve(recipe, evaluators=(TaskMetrics(),))
    found = tuned_in(tmp_path / "t", asked, own_catalog, WeightSearch(trials=1))
    assert load_recipe(found.recipe, own_catalog).evaluators == (TaskMetrics(),)


def test_a_trial_of_other_weights_is_not_taken_for_this_one(recipe, own_catalog, tmp_path):
    found = tuned_in(tmp_path, recipe, own_catalog, WeightSearch(trials=1))
    written = found.run(0) / "recipe.yaml"
    written.write_text(written.read_text().replace("1.0", "1.5"))
    with pytest.raises(RunError, match=r"holds the run of another recipe: got .* expected .*1\.5"):
        tuned_in(tmp_path, recipe, own_catalog, WeightSearch(trials=1))


def test_bounds_have_equal_weights_between_them():
    with pytest.raises(ValueError, match="lowest: expected a number from 1e-09 to 1, got 2"):
        WeightSearch(lowest=2.0)
