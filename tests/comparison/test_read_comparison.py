"""A comparison file is read strictly: every mistake at once, at its place."""

import pytest

from mtlkit.comparison.results.record import Budget
from mtlkit.comparison.spec.comparison import BASELINES
from mtlkit.comparison.spec.data_checks import task_metrics_of
from mtlkit.data import Loading
from mtlkit.errors import RecipeError

GOOD = """\
problems:
  plane: {recipe: recipe.yaml, set: [train.epochs=3], primary_metrics:\
 {size: {metric: size/r2, higher_is_better: true}}}
weightings:
  - dynamic
  - {type: famo}
  - {name: half, weighting: {type: dynamic, total: 0.5}, search:\
 {weighting.total: {low: 0.1, high: 10, log: true}}}
seeds: 3
tuning: {trials: 4, seed: 1, search: {optimizer.lr: {low: 0.003, high: 0.1, log: true}}}
budgets: [epochs, time]
without: {rlw: a placebo was run before}
"""


def lines(bench, text):
    with pytest.raises(RecipeError) as caught:
        bench.load(text)
    return [line.removeprefix(f"{bench.folder}/") for line in caught.value.lines]


def test_short_and_long_forms_are_read(bench, tiny):
    found = bench.load(GOOD)
    assert [method.name for method in found.methods] == [
        *("single-task", "equal", "log", "tuned"),
        *("dynamic", "famo", "half"),
    ]
    assert found.problems["plane"].recipe.train.epochs == 3
    assert found.problems["plane"].base == bench.folder
    assert found.problems["plane"].primary_metrics["size"].metric == "size/r2"
    assert (found.seeds, found.budgets) == ((0, 1, 2), (Budget.EPOCHS, Budget.TIME))
    assert found.method("half").search["weighting.total"].log
    assert found.without == {"rlw": "a placebo was run before"}


@pytest.mark.parametrize(
    ("metric", "higher"),
    [("size/r2", True), ("size/mae", False), ("size/loss", False), ("sign/accuracy", True)],
)
def test_a_metric_of_a_task_brings_its_direction(bench, tiny, metric, higher):
    text = f"problems: {{plane: {{recipe: recipe.yaml, primary_metrics: {{size: {metric}}}}}}}\n"
    problem = bench.load(text).problems["plane"]
    assert problem.primary_metrics["size"].direction(problem.recipe.tasks) is higher


def test_without_one_the_recipe_states_the_primary_metric(bench, tiny):
    text = "problems: {plane: {recipe: recipe.yaml, set: [tasks.size.primary=r2]}}\n"
    problem = bench.load(text).problems["plane"]
    sign, size, *others = task_metrics_of("plane", problem, problem.recipe.data.load(Loading()))
    assert (size.metric, size.higher_is_better, size.unit) == ("size/r2", True, "fraction")
    assert size.chance_level == pytest.approx(0, abs=1e-6)
    assert sign.metric == "sign/accuracy"
    assert [metric.metric for metric in others] == ["size/mae", "size/rmse"]
    assert not any(metric.primary or metric.higher_is_better for metric in others)


def test_a_task_whose_primary_metric_is_stated_has_no_other(bench):
    text = "problems: {plane: {recipe: recipe.yaml, primary_metrics: {size: size/rmse}}}\n"
    problem = bench.load(text).problems["plane"]
    metrics = task_metrics_of("plane", problem, problem.recipe.data.load(Loading()))
    assert [metric.metric for metric in metrics] == ["sign/accuracy", "size/rmse"]


def test_every_baseline_is_in_unless_there_is_a_reason(bench):
    found = bench.load("problems: {plane: recipe.yaml}\n")
    assert found.methods == BASELINES
    assert found.seeds == (0, 1, 2, 3, 4)
    assert found.tuning.searches == 0


MISTAKES = [
    (
        "seeds: 3",
        "seedz: 3",
        "comparison.yaml:7:1: seedz: unknown key of the file; did you mean 'seeds'?",
    ),
    (
        "- dynamic",
        "- dynamc",
        "comparison.yaml:4:5: weightings.0.weighting: no weighting named 'dynamc'; did "
        "you mean 'dynamic' (built in)? `mtlkit list weightings` shows all 40",
    ),
    (
        "{rlw: a placebo was run before}",
        "{rwl: no}",
        "comparison.yaml:10:16: without.rwl: no baseline named 'rwl'; did you mean 'rlw'?",
    ),
    (
        "{rlw: a placebo was run before}",
        "{rlw: ' '}",
        "comparison.yaml:10:16: without.rlw: expected the reason, which the report shows",
    ),
    (
        "recipe: recipe.yaml",
        "recipe: recipes.yaml",
        "comparison.yaml:2:19: problems.plane.recipe: FOLDER/recipes.yaml: no "
        "such file; expected a recipe",
    ),
    (
        "train.epochs=3",
        "train.watsh=3",
        "--set train.watsh=3: train.watsh: unknown key of `train`; did you mean 'watch'?",
    ),
    (
        "low: 0.003",
        "low: 0.3",
        "comparison.yaml:8:70: tuning.search.optimizer.lr.high: expected a number above "
        "low, 0.3, got 0.1",
    ),
    (
        "low: 0.003",
        "low: -1",
        "comparison.yaml:8:59: tuning.search.optimizer.lr.low: expected a number above 0 "
        "for `log`, got -1",
    ),
    (
        "optimizer.lr",
        "optimizer.momentun",
        "comparison.yaml:8:59: tuning.search.optimizer.momentun: on the problem 'plane': "
        "optimizer.momentun: there is no 'momentun'; did you mean 'momentum'?",
    ),
    (
        "{weighting.total:",
        "{weighting.forn:",
        "comparison.yaml:6:83: weightings.2.search.weighting.forn: on the problem "
        "'plane': weighting.forn: there is no 'forn'; did you mean 'form'?",
    ),
    (
        "trials: 4",
        "trials: 1",
        "comparison.yaml:8:38: tuning.search: nothing is searched with `trials: 1`; "
        "expected 2 or more",
    ),
    (
        "- {type: famo}",
        "- {type: dynamic}",
        "comparison.yaml:5:5: weightings.1: 'dynamic' stands in the list already; give "
        "one of them another `name`",
    ),
    (
        "- {type: famo}",
        "- rlw",
        "comparison.yaml:5:5: weightings.1: 'rlw' is left out by `without`; take it out of there,"
        " or of this list",
    ),
    (
        "name: half",
        "name: equal",
        "comparison.yaml:6:5: weightings.2: 'equal' is the name of a baseline; give this "
        "one another `name`",
    ),
    (
        "[epochs, time]",
        "[time]",
        "comparison.yaml:9:10: budgets: `time` needs `epochs`, whose runs measure the cost of a "
        "step",
    ),
    (
        "seeds: 3",
        "seeds: [1, 1]",
        "comparison.yaml:7:8: seeds: expected how many seeds, or a list of different ones",
    ),
    (
        "seeds: 3",
        "seeds: [1, 18446744073709551616]",
        "comparison.yaml:7:8: seeds: expected seeds from 0 to 18446744073709551615, got "
        "[1, 18446744073709551616]",
    ),
    (
        "seeds: 3",
        "resources: {memory: 4}",
        "comparison.yaml:7:21: resources.memory: expected a size such as '4 GiB', got the number 4",
    ),
    (
        "seeds: 3",
        "resources: {gpus: 2}",
        "comparison.yaml:7:19: resources.gpus: expected a number from 0.01 to 1, got 2.0",
    ),
    (
        "primary_metrics: {size: {metric: size/r2, higher_is_better: true}}",
        "primary_metrics: {size: {metric: size/r2, higher_is_better: false}}",
        "comparison.yaml:2:79: problems.plane.primary_metrics.size: size/r2 is better if higher; "
        "leave out `higher_is_better`",
    ),
    (
        "primary_metrics: {size: {",
        "primary_metrics: {sise: {",
        "comparison.yaml:2:79: problems.plane.primary_metrics.sise: no task named 'sise'; did you "
        "mean 'size'?",
    ),
    (
        "metric: size/r2",
        "metric: size/rms",
        "comparison.yaml:2:79: problems.plane.primary_metrics.size: size: no metric named 'rms'; "
        "did you mean 'rmse'?",
    ),
    (
        "metric: size/r2",
        "metric: sice/r2",
        "comparison.yaml:2:79: problems.plane.primary_metrics.size: nothing measures 'sice/r2'; did"
        " you mean 'size'?",
    ),
]


@pytest.mark.parametrize(("good", "bad", "line"), MISTAKES)
def test_a_mistake_is_told_at_its_place(bench, good, bad, line):
    assert good in GOOD
    found = lines(bench, GOOD.replace(good, bad, 1))
    assert line in [each.replace(str(bench.folder), "FOLDER") for each in found]
    assert len(found) == 1 + (good == "trials: 4")  # of which there is one for each search


def test_mistakes_come_all_at_once(bench):
    text = GOOD.replace("seeds: 3", "seeds: 0").replace("a placebo was run before", "''")
    assert len(lines(bench, text)) == 2


def test_a_recipe_of_one_task_is_no_problem(bench, tiny):
    alone = tiny.RECIPE.replace(", size: {head: {type: regression}}", "")
    (bench.folder / "alone.yaml").write_text(alone)
    assert lines(bench, "problems: {one: alone.yaml}\n") == [
        "comparison.yaml:1:17: problems.one.recipe: has the task sign alone; methods weigh two or "
        "more"
    ]


def test_a_weighting_that_does_not_fit_is_told_before_anything_is_run(bench, tiny):
    soft = tiny.RECIPE + "router: cross-stitch\n"
    (bench.folder / "soft.yaml").write_text(soft)
    (found,) = lines(bench, "problems: {plane: soft.yaml}\nweightings: [dynamic]\n")
    assert found.startswith(
        "comparison.yaml:2:14: weightings.0: 'dynamic' on the problem 'plane': weighting: Dynamic "
        "reads the shared features"
    )
