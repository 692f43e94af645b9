"""The numbers of the `tasks` evaluator against formulas of other libraries."""

from types import SimpleNamespace

import attrs
import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from scipy.stats import pearsonr

from mtlkit.data import Categorical, ClassMapTarget, NumberTarget, TokenTarget
from mtlkit.evaluators import TaskMetrics
from mtlkit.evaluators.task_metrics import _Confusions, confusion
from mtlkit.metrics import R2
from mtlkit.report.blocks import TableBlock

from .test_predict import TASKS, some_data, some_split, trained


@pytest.mark.parametrize("split_name", ["train", "validation", "test"])
def test_loss_and_accuracy_of_a_classification(split_name):
    one = trained()
    split = one.data.splits()[split_name]
    logits = one.predict(split).outputs["who"].double().numpy()
    target = split.columns["who"].codes.numpy()
    metrics = TaskMetrics().evaluate(one).metrics
    nll = -log_softmax(logits, axis=1)[np.arange(len(target)), target].mean()
    assert metrics[f"{split_name}/who/loss"] == pytest.approx(nll, rel=1e-5)
    accuracy = (logits.argmax(1) == target).mean()
    assert metrics[f"{split_name}/who/accuracy"] == pytest.approx(accuracy)
    assert metrics[f"{split_name}/who/labels"] == len(split)


def test_loss_and_metrics_of_a_regression_count_present_labels_only():
    one = trained()
    split = one.data.validation
    value = one.predict(split).outputs["age"].double().numpy()
    target = split.columns["age"].values.double().numpy()
    known = ~np.isnan(target)
    error = value[known] - target[known]
    metrics = TaskMetrics().evaluate(one).metrics
    assert metrics["validation/age/labels"] == known.sum() < len(split)
    assert metrics["validation/age/mae"] == pytest.approx(np.abs(error).mean(), rel=1e-5)
    r2 = 1 - (error**2).sum() / ((target[known] - target[known].mean()) ** 2).sum()
    assert metrics["validation/age/r2"] == pytest.approx(r2, rel=1e-4)
    scale = one.model.head("age").std.item()
    assert metrics["validation/age/loss"] == pytest.approx(
        (error**2).mean() / 2 / scale**2, rel=1e-4
    )


def test_a_perfect_line_has_an_r2_of_its_squared_correlation():
    target = torch.arange(10.0)
    outputs = target * 1.0
    state = R2().build(NumberTarget())
    state.update(outputs, target)
    assert state.compute() == pytest.approx(pearsonr(outputs, target).statistic ** 2)


def test_the_accuracy_after_routing_is_that_of_the_mixed_posterior():
    one = trained("LinearBranch-expected")
    split = one.data.test
    said = one.predict(split).branches["who"]
    mixed = (softmax(said.logits.numpy(), axis=2) * said.weights.numpy()[:, :, None]).sum(axis=1)
    accuracy = (mixed.argmax(1) == split.columns["who"].codes.numpy()).mean()
    metrics = TaskMetrics().evaluate(one).metrics
    assert metrics["test/who/branches/accuracy"] == pytest.approx(accuracy)
    assert not [name for name in metrics if "side/branches" in name]


def test_a_task_without_labels_in_a_split_has_no_numbers_there():
    test = some_split(6, people=("dan", "eve"))
    one = trained(data=attrs.evolve(some_data(), test=test))
    found = TaskMetrics().evaluate(one)
    assert not [name for name in found.metrics if name.startswith("test/who")]
    assert "test/side/accuracy" in found.metrics
    rows = {row[0]: row[1:] for row in found.sections[0].blocks[0].rows}
    assert np.isnan(rows["who/accuracy"][2])


def test_headlines_show_the_main_task_first_and_prefer_test():
    one = trained()
    assert TaskMetrics().evaluate(one).headlines == (
        "test/who/accuracy",
        "test/side/accuracy",
        "test/age/mae",
    )
    strangers = attrs.evolve(some_data(), test=some_split(6, people=("dan", "eve")))
    assert TaskMetrics().evaluate(trained(data=strangers)).headlines[0] == "validation/who/accuracy"


def test_the_table_has_a_row_for_each_number_and_a_column_for_each_split():
    one = trained()
    found = TaskMetrics().evaluate(one)
    table = found.sections[0].blocks[0]
    assert table.header == ("", "train", "validation", "test")
    rebuilt = {
        f"{split}/{row[0]}": value
        for row in table.rows
        for split, value in zip(table.header[1:], row[1:], strict=True)
    }
    assert rebuilt == found.metrics


@pytest.mark.parametrize("classes", [2, 5])
def test_confusion_counts_pairs(classes):
    target = torch.randint(0, classes, (200,))
    logits = torch.randn(200, classes)
    expected = np.zeros((classes, classes), dtype=int)
    np.add.at(expected, (target.numpy(), logits.argmax(1).numpy()), 1)
    np.testing.assert_array_equal(confusion(logits, target, classes).numpy(), expected)


def test_confusion_rows_are_percent_of_the_true_class():
    one = trained()
    tables = list(TaskMetrics().evaluate(one).sections[0].blocks[1:])
    assert all(isinstance(table, TableBlock) for table in tables)
    assert [table.header[1:-1] for table in tables] == [("ann", "bob", "cid"), ("left", "right")]
    for table in tables:
        for row in table.rows:
            assert sum(cell or 0 for cell in row[1:-1]) == pytest.approx(100, abs=1)
        assert sum(row[-1] for row in table.rows) == len(one.data.test)


def test_a_task_of_many_classes_has_no_confusion_table():
    people = tuple(f"p{i:02}" for i in range(21))
    data = some_data()
    many = Categorical(data.train.columns["who"].codes, people)
    splits = {
        name: attrs.evolve(
            split,
            columns={**split.columns, "who": Categorical(split.columns["who"].codes, people)},
        )
        for name, split in data.splits().items()
    }
    assert len(many.names) > 20
    one = trained(data=attrs.evolve(data, **splits))
    captions = [table.caption for table in TaskMetrics().evaluate(one).sections[0].blocks[1:]]
    assert [caption.split(" ")[0] for caption in captions] == ["side"]
    assert set(TASKS) == {"who", "side", "age"}


def test_tokens_and_pixels_are_counted_one_by_one():
    """Elements without a label are in no table; a row is in percent of a true class."""
    targets = {"tag": TokenTarget(names=("noun", "verb")), "part": ClassMapTarget(names=("a", "b"))}
    labels = {
        "tag": torch.tensor([[0, 1, -1], [1, 1, 0]]),
        "part": torch.tensor([[[0, 1], [1, -1]]]),
    }
    predicted = {
        "tag": torch.tensor([[0, 1, 1], [0, 1, 0]]),
        "part": torch.tensor([[[0, 0], [1, 1]]]),
    }
    outputs = {
        "tag": torch.nn.functional.one_hot(predicted["tag"], 2).float(),
        "part": torch.nn.functional.one_hot(predicted["part"], 2).float().movedim(-1, 1),
    }
    model = SimpleNamespace(assembly=SimpleNamespace(targets=targets))
    confusions = _Confusions(SimpleNamespace(model=model, tasks=targets))
    list(confusions.watch([(SimpleNamespace(outputs=outputs), labels)]))
    tag, part = confusions.tables("test")
    assert tag.header == ("true class", "noun", "verb", "tokens")
    assert tag.rows == (("noun", 100, "", 2), ("verb", 33, 67, 3))
    assert part.header[-1] == "pixels"
    assert part.rows == (("a", 100, "", 1), ("b", 50, 50, 2))
