"""Runs of forty tasks: means over tasks, folded displays and reports, and what is logged."""

import csv
import io
import random

import pytest

from mtlkit import fit, load_catalog
from mtlkit.callbacks.monitored_metric import monitored_metric
from mtlkit.data import Loading
from mtlkit.errors import RecipeError
from mtlkit.heads import Regression
from mtlkit.loggers.events import StepEvent
from mtlkit.recipe_io import parse_recipe
from mtlkit.report.evaluation import evaluation_from_json
from mtlkit.report.folding import fold, folded_text
from mtlkit.runs.logs import read_log
from mtlkit.runs.progress_display import PlainProgress, _console, _table
from mtlkit.runs.storage.folder import open_run
from mtlkit.task import Task, shared_metrics
from mtlkit.training.progress import TrainingProgress

RECIPE = """
data: {type: table, file: faces.csv, labels: ["attr{1..40}"]}
backbone: {type: mlp, hidden: [8]}
tasks: {"attr{1..40}": {}, attr3: {role: main}}
train: {epochs: 1, batch: 40, log_every: 1, threads: 1, device: cpu}
"""
CATALOG = load_catalog("none")
NAMES = [f"attr{number}" for number in range(1, 41)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("forty")
    numbers = random.Random(0)
    with (folder / "faces.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["x", "y", *NAMES])
        for _ in range(120):
            x, y = numbers.gauss(0, 1), numbers.gauss(0, 1)
            writer.writerow([x, y, *(f"{x + n * y / 40 > 0}" for n in range(40))])
    return folder


@pytest.fixture(scope="module")
def run(folder):
    recipe = parse_recipe(RECIPE, "r.yaml", CATALOG)
    return fit(recipe, folder / "run", catalog=CATALOG, loading=Loading(base=folder), quiet=True)


def evaluation_of(run):
    return evaluation_from_json(open_run(run.path).evaluation.read_bytes())


def test_the_mean_over_tasks_is_a_metric(run):
    for split in ("validation", "test"):
        values = [run.metrics[f"{split}/{name}/accuracy"] for name in NAMES]
        assert run.metrics[f"{split}/mean/accuracy"] == pytest.approx(sum(values) / 40)
    assert list(run.headlines) == ["test/mean/accuracy", "test/attr3/accuracy"]
    assert evaluation_of(run).scales["test/mean/accuracy"].higher_is_better


def test_a_callback_may_decide_on_the_mean_over_tasks():
    tasks = {"a": Task(), "b": Task()}
    assert monitored_metric("mean/accuracy", tasks).higher_is_better


def test_errors_in_the_units_of_labels_have_no_mean():
    tasks = {name: Task(head=Regression()) for name in ("age", "height")}
    names = {metric.name for metric in tasks["age"].measured_by}
    assert {"mae", "rmse"} & names
    assert not {"mae", "rmse"} & set(shared_metrics(tasks))


def test_a_task_may_not_have_the_name_of_the_means():
    with pytest.raises(RecipeError, match=r"tasks\.mean: the means over tasks have this name"):
        parse_recipe(RECIPE.replace("attr3:", "mean:"), "r.yaml", CATALOG)


def test_tables_of_the_report_are_folded_and_every_metric_is_kept(run):
    section = next(s for s in evaluation_of(run).sections if s.title == "Tasks")
    table, *confusions = section.blocks
    assert [row[0] for row in table.rows[:6]] == [
        *("loss, mean", "loss, lowest", "loss, highest"),
        *("accuracy, mean", "accuracy, lowest", "accuracy, highest"),
    ]
    assert table.rows[3][-1] == pytest.approx(run.metrics["test/mean/accuracy"])
    assert len(confusions) == 1  # of the main task
    page = (run.path / "report.html").read_text()
    assert all(f"test/{name}/accuracy" in page for name in NAMES)
    assert "mean and range of 40" in page


def steps_of(run):
    return [event for event in read_log(open_run(run.path)) if isinstance(event, StepEvent)]


def test_cosines_of_forty_tasks_are_logged_only_on_request(run, folder):
    assert all(not step.gradient_norms and not step.gradient_cosines for step in steps_of(run))
    overrides = ["train.watch=true", "train.steps=1"]
    recipe = parse_recipe(RECIPE, "r.yaml", CATALOG, overrides)
    loading = Loading(base=folder)
    watched = fit(recipe, folder / "watched", catalog=CATALOG, loading=loading, quiet=True)
    (step,) = steps_of(watched)
    assert len(step.gradient_cosines) == 40 * 39 / 2
    assert recipe.train.watches(40)
    assert parse_recipe(RECIPE, "r.yaml", CATALOG).train.watches(10)


def test_numbers_of_many_tasks_fit_on_a_line():
    values = {f"{name}/loss": float(number) for number, name in enumerate(NAMES)}
    text = folded_text({**values, "mean/accuracy": 0.5})
    assert text == "loss of 40 tasks: mean 19.5, from 0 (attr1) to 39 (attr40)"
    few = dict(list(values.items())[:10])
    assert folded_text(few) == " ".join(f"{name} {value:.4g}" for name, value in few.items())
    assert fold({"a": float("nan")}) is None


def test_the_console_folds_above_ten_tasks():
    losses = {name: 1.0 + number for number, name in enumerate(NAMES)}
    standing = TrainingProgress(
        step=1, steps=1, epoch=1, epochs=1, steps_per_epoch=1, samples_per_second=1.0,
        seconds_left=0.0, losses=losses, weights=dict.fromkeys(NAMES, 1.0),
    )  # fmt: skip
    text = io.StringIO()
    PlainProgress(_console(text)).trained(standing)
    line = text.getvalue()
    assert "losses of 40 tasks: mean 20.5, from 1 (attr1) to 40 (attr40) | weights of 40" in line
    assert "attr7" not in line
    assert [column.header for column in _table(standing).columns][:3] == ["", "mean", "lowest"]
