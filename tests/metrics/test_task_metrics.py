"""A task lists its metrics and its primary one; mistakes in them are those of the recipe."""

import attrs
import pytest
import torch

from mtlkit.assembly import assembly_of
from mtlkit.evaluators import TaskMetrics
from mtlkit.evaluators.task_scores import TaskScores
from mtlkit.evaluators.task_tables import part_tables
from mtlkit.heads import Regression
from mtlkit.metrics import F1, MAE, R2, RMSE, Accuracy, BalancedAccuracy
from mtlkit.model import assemble
from mtlkit.recipe_io import dump_recipe, parse_recipe
from mtlkit.task import Task
from mtlkit.testing import Example, small_recipe
from mtlkit.testing.head_batches import head_batch


def with_task(**options):
    recipe = small_recipe()
    size = attrs.evolve(recipe.tasks["size"], **options)
    return attrs.evolve(recipe, tasks={**recipe.tasks, "size": size})


def test_without_its_own_metrics_a_task_has_those_of_its_head():
    task = Task(head=Regression())
    assert task.measured_by == (MAE(), RMSE(), R2())
    assert task.primary_metric == MAE()


@pytest.mark.parametrize(
    ("metrics", "primary", "expected"),
    [((), "r2", R2()), ((RMSE(), R2()), None, RMSE()), ((RMSE(), R2()), "r2", R2())],
)
def test_the_primary_metric_is_the_stated_one_or_the_first(metrics, primary, expected):
    task = Task(head=Regression(), metrics=metrics, primary=primary)
    assert task.primary_metric == expected


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (
            {"metrics": (RMSE(), Accuracy())},
            "tasks.size.metrics.1: 'accuracy' measures a class or a class of each pixel or a class "
            "of each token or several labels, got the head Regression, which predicts a number; "
            "leave it out",
        ),
        (
            {"metrics": (RMSE(), RMSE())},
            "tasks.size.metrics: got 2 metrics named 'rmse'; leave one out",
        ),
        (
            {"primary": "mse"},
            "tasks.size.primary: no metric named 'mse'; did you mean 'rmse'?",
        ),
        (
            {"metrics": (R2(),), "primary": "rmse"},
            "tasks.size.primary: no metric named 'rmse'; expected one of r2",
        ),
    ],
)
def test_a_metric_that_does_not_fit_is_a_problem_of_the_recipe(options, line):
    assert [str(problem) for problem in with_task(**options).problems()] == [line]


def test_metrics_are_written_and_read_by_name(catalog):
    text = "tasks: {age: {head: regression, metrics: [r2, {type: mae}], primary: mae}}"
    data = "data: {type: table, file: a.csv, labels: [age], numeric: [age]}"
    whole = f"{data}\nbackbone: mlp\n{text}\n"
    recipe = parse_recipe(whole, "recipe.yaml", catalog)
    assert recipe.tasks["age"].metrics == (R2(), MAE())
    assert recipe.tasks["age"].primary_metric == MAE()
    assert parse_recipe(dump_recipe(recipe, catalog), "again", catalog) == recipe


def scores_of(recipe, device="cpu"):
    data = recipe.data.load(None)
    torch.manual_seed(0)
    model = assemble(recipe.backbone, recipe.router, recipe.tasks, assembly_of(data, recipe.tasks))
    from mtlkit.evaluators.trained_model import TrainedModel

    return TrainedModel(model, data, recipe.tasks, torch.device(device), batch=3)


def test_headlines_are_the_primary_metrics():
    recipe = with_task(metrics=(RMSE(), R2()), primary="r2")
    found = TaskMetrics().evaluate(scores_of(recipe))
    assert "test/size/r2" in found.headlines
    assert "test/size/rmse" in found.metrics
    assert "test/size/mae" not in found.metrics


def test_a_primary_metric_that_is_undefined_is_no_headline():
    """Another metric must not stand in for it without a word."""
    recipe = with_task(metrics=(RMSE(), R2()), primary="r2")
    trained = scores_of(recipe)
    for split in (trained.data.test, trained.data.validation):
        split.columns["size"].values.fill_(3.0)
    found = TaskMetrics().evaluate(trained)
    assert "test/size/rmse" in found.metrics
    assert not [name for name in found.headlines if "size" in name]


def test_every_metric_has_a_unit_and_a_direction():
    found = TaskMetrics().evaluate(scores_of(small_recipe()))
    assert {name for name in found.metrics if name not in found.scales} == {
        name for name in found.metrics if name.endswith("/labels")
    }
    accuracy, error = found.scales["test/kind/accuracy"], found.scales["train/size/mae"]
    assert (accuracy.unit, accuracy.higher_is_better) == ("fraction", True)
    assert (error.unit, error.higher_is_better) == ("label", False)
    assert not found.scales["test/kind/loss"].higher_is_better


def test_scores_do_not_depend_on_whether_predictions_are_kept():
    trained = scores_of(small_recipe())
    streamed = TaskMetrics().evaluate(trained).metrics
    for split in trained.data.splits().values():
        trained.predict(split)
    assert TaskMetrics().evaluate(trained).metrics == streamed


def test_scores_of_nothing_are_empty():
    trained = scores_of(small_recipe())
    assert TaskScores(trained.model, trained.tasks).compute() == {}


def test_the_examples_of_the_kit_have_missing_targets():
    """Which the checks of metrics and heads rely on."""
    assert head_batch(Example(value=Regression()), 8)[1].isnan().any()


def test_the_report_has_a_table_of_each_class():
    recipe = small_recipe()
    kind = attrs.evolve(recipe.tasks["kind"], metrics=(Accuracy(), F1(), BalancedAccuracy()))
    trained = scores_of(attrs.evolve(recipe, tasks={**recipe.tasks, "kind": kind}))
    (section,) = TaskMetrics().evaluate(trained).sections
    [table] = [block for block in section.blocks if "each class" in block.caption]
    assert table.caption.startswith("kind (test): ")
    assert table.header == ("", "f1", "balanced-accuracy")
    scores = {name: values for name, *values in table.rows}
    assert set(scores) <= {"a", "b", "c"}
    defined = [f1 for f1, _ in scores.values() if f1 == f1]
    metrics = TaskMetrics().evaluate(trained).metrics
    assert metrics["test/kind/f1"] == pytest.approx(sum(defined) / len(defined))


def test_a_task_with_very_many_classes_has_no_table_of_them():
    parts = {"identity": {"f1": {str(code): 1.0 for code in range(201)}}}
    assert list(part_tables("test", parts)) == []
