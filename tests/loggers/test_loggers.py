"""Loggers: what is written, what a resumed run cuts away, and what a full disk does."""

import csv
import json
import math
import os
import sys
import time

import attrs
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import mtlkit
from mtlkit.backbones import UNet
from mtlkit.callbacks import (
    CSV,
    EvaluationEvent,
    JsonLines,
    Speed,
    StepEvent,
    TensorBoard,
    WantedPictures,
    read_events,
)
from mtlkit.errors import MissingExtraError, RunError
from mtlkit.loggers.curves import curves
from mtlkit.testing import add_small_data
from mtlkit.testing.small_data import small_map_recipe, small_recipe
from mtlkit.training.devices.system_metrics import SystemMetrics


def step_event(step):
    return StepEvent(
        step=step, epoch=step / 4, learning_rate=0.1, losses={"a": 0.5}, weights={"a": 1.0}
    )


def speed(step):
    return Speed(step=step, seconds=1.0, samples_per_second=9.0, peak_memory_bytes=5)


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def written(folder, steps, start=0):
    writer = JsonLines().open(folder, start)
    for step in steps:
        writer.write(step_event(step))
        writer.write(speed(step))
    return writer


def test_events_are_lines_with_their_kind(tmp_path):
    writer = written(tmp_path, [1])
    writer.write(EvaluationEvent(step=1, epoch=0.25, metrics={"a/accuracy": 0.75}))
    writer.close()
    assert lines(tmp_path / "log.jsonl") == [
        {
            "kind": "step", "step": 1, "epoch": 0.25, "learning_rate": 0.1,
            "losses": {"a": 0.5}, "weights": {"a": 1.0},
            "gradient_norms": {}, "gradient_cosines": {}, "learning_rates": {}, "values": {},
        },
        {"kind": "evaluation", "step": 1, "epoch": 0.25, "metrics": {"a/accuracy": 0.75}},
    ]  # fmt: skip
    assert [line["kind"] for line in lines(tmp_path / "speed.jsonl")] == ["speed"]


def test_others_can_follow_line_by_line(tmp_path):
    writer = written(tmp_path, [1, 2])
    assert len(lines(tmp_path / "log.jsonl")) == 2  # before any flush
    writer.close()


@pytest.mark.parametrize("step", [0, 3, 4, 9])
def test_a_resumed_log_is_cut_after_the_checkpoint(tmp_path, step):
    written(tmp_path, range(1, 7)).close()
    before = (tmp_path / "log.jsonl").read_bytes()
    written(tmp_path, range(step + 1, 7), start=step).close()
    assert (tmp_path / "log.jsonl").read_bytes() == before
    assert [line["step"] for line in lines(tmp_path / "speed.jsonl")] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("torn", ['{"kind": "step", "st', '{"kind": "step", "step": 3, "x": 1}'])
def test_a_torn_last_line_is_dropped(tmp_path, torn):
    written(tmp_path, [1, 2]).close()
    whole = (tmp_path / "log.jsonl").read_bytes()
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write(torn)
    written(tmp_path, [], start=5).close()
    assert (tmp_path / "log.jsonl").read_bytes() == whole


def test_a_strange_log_is_refused(tmp_path):
    (tmp_path / "log.jsonl").write_text("dear diary\n")
    with pytest.raises(RunError, match=r"log\.jsonl: contains a line that mtlkit did not write"):
        JsonLines().open(tmp_path, 0)


def test_numbers_survive_exactly(tmp_path):
    value = 0.1 + 0.2
    writer = JsonLines().open(tmp_path, 0)
    writer.write(EvaluationEvent(step=1, epoch=value, metrics={"a": value}))
    writer.close()
    assert lines(tmp_path / "log.jsonl")[0]["metrics"]["a"] == value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_is_a_gap(tmp_path, value):
    writer = JsonLines().open(tmp_path, 0)
    writer.write(EvaluationEvent(step=1, epoch=1.0, metrics={"a/loss": value, "a/accuracy": 0.5}))
    writer.write(attrs.evolve(step_event(2), losses={"a": value}))
    writer.close()
    assert lines(tmp_path / "log.jsonl")[0]["metrics"] == {"a/loss": None, "a/accuracy": 0.5}
    evaluation, step = read_events(tmp_path / "log.jsonl")
    assert math.isnan(evaluation.metrics["a/loss"])
    assert evaluation.metrics["a/accuracy"] == 0.5
    assert math.isnan(step.losses["a"])


def test_a_full_disk_names_the_file(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("the system has no /dev/full")
    writer = JsonLines().open(tmp_path, 0)
    writer._log.close()
    writer._log._file = open("/dev/full", "wb")  # noqa: SIM115
    with pytest.raises(
        RunError, match=r"could not be written: No space left .* checkpoint is kept"
    ):
        writer.write(step_event(1))
    with pytest.raises(RunError):
        writer.close()


def test_tensorboard_gets_every_curve(tmp_path):
    writer = TensorBoard().open(tmp_path, 0)
    gradients = {"gradient_norms": {"a": 2.0}, "gradient_cosines": {"a, b": -0.5}}
    writer.write(attrs.evolve(step_event(3), **gradients))
    writer.write(EvaluationEvent(step=3, epoch=1.0, metrics={"a/accuracy": 0.75}))
    writer.write(speed(3))
    writer.flush()
    writer.close()
    result = curves_in(tmp_path / "tensorboard")
    assert result["loss/a"] == [(3, 0.5)]
    assert result["weight/a"] == [(3, 1.0)]
    assert result["gradient norm/a"] == [(3, 2.0)]
    assert result["gradient cosine/a, b"] == [(3, -0.5)]
    assert result["validation/a/accuracy"] == [(3, 0.75)]
    assert set(result) >= {"learning rate", "speed/samples per second"}


def test_tensorboard_hides_what_a_resumed_run_makes_again(tmp_path):
    for steps, start in (([1, 2, 3, 4], 0), ([3], 2)):
        writer = TensorBoard().open(tmp_path, start)
        for step in steps:
            writer.write(step_event(step))
        writer.close()
    assert [step for step, _ in curves_in(tmp_path / "tensorboard")["loss/a"]] == [1, 2, 3]


def curves_in(folder):
    accumulator = EventAccumulator(str(folder))
    accumulator.Reload()
    return {
        tag: [(event.step, pytest.approx(event.value)) for event in accumulator.Scalars(tag)]
        for tag in accumulator.Tags()["scalars"]
    }


def test_a_missing_tensorboard_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mtlkit\[tensorboard\]'"):
        TensorBoard().open(tmp_path, 0)
    assert not (tmp_path / "tensorboard").exists()


def test_a_table_has_a_row_for_each_value(tmp_path):
    writer = CSV().open(tmp_path, 0)
    writer.write(step_event(1))
    writer.write(EvaluationEvent(step=1, epoch=0.5, metrics={'a, "b"/x': 0.75, "a/y": math.nan}))
    writer.close()
    with (tmp_path / "metrics.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["step", "name", "value"],
        ["1", "learning rate", "0.1"],
        ["1", "loss/a", "0.5"],
        ["1", "weight/a", "1.0"],
        ["1", 'validation/a, "b"/x', "0.75"],
    ]


@pytest.mark.parametrize("step", [0, 3, 6])
def test_a_resumed_table_is_cut_after_the_checkpoint(tmp_path, step):
    for steps, start in ((range(1, 7), 0), (range(step + 1, 7), step)):
        writer = CSV().open(tmp_path, start)
        for number in steps:
            writer.write(step_event(number))
        writer.flush()
        name, (size, _) = next(iter(writer.state().items()))
        writer.close()
        assert (tmp_path / name).stat().st_size == size
    rows = (tmp_path / "metrics.csv").read_text().splitlines()
    assert rows[0] == "step,name,value"
    assert [row[0] for row in rows[1:]] == [str(n) for n in range(1, 7) for _ in range(3)]


def test_no_picture_is_logged_unasked(tmp_path):
    writer = TensorBoard().open(tmp_path, 0)
    assert TensorBoard().pictures is WantedPictures.NONE
    assert TensorBoard(figures=True).pictures is WantedPictures.FIGURES
    assert TensorBoard(images=True).pictures is WantedPictures.ALL
    writer.close()


@pytest.mark.parametrize("images", [False, True])
def test_tensorboard_gets_the_pictures_of_the_report_on_request(tmp_path, monkeypatch, images):
    monkeypatch.chdir(tmp_path)
    recipe = attrs.evolve(small_map_recipe(), backbone=UNet(channels=4, depth=1))
    logger = TensorBoard(figures=True, images=images)
    train = attrs.evolve(recipe.train, loggers=(JsonLines(), logger))
    catalog = add_small_data(mtlkit.load_catalog("none"))
    recipe = attrs.evolve(recipe, train=train)
    mtlkit.fit(recipe, tmp_path / "run", catalog=catalog, quiet=True)
    accumulator = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    accumulator.Reload()
    names = accumulator.Tags()["images"]
    assert "report/Training loss" in names
    assert any(name.startswith("images/") for name in names) is images


def test_the_same_logger_twice_is_refused():
    recipe = small_recipe()
    train = attrs.evolve(recipe.train, loggers=(CSV(), JsonLines(), CSV()))
    (problem,) = attrs.evolve(recipe, train=train).problems()
    assert str(problem) == "train.loggers.2: writes to the files of train.loggers.0; remove one"


def test_system_metrics_are_logged_with_the_speed():
    meter = SystemMetrics(torch.device("cpu"))
    start = time.process_time()
    while time.process_time() - start < 0.02:
        pass
    system = meter.read()
    assert system["cpu percent"] > 0
    event = attrs.evolve(speed(1), system=system)
    assert curves(event)["system/cpu percent"] == system["cpu percent"]
