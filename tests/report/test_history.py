"""What training's events become in a report, and the way they are read back."""

import math

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtlkit.callbacks import EvaluationEvent, Speed, StepEvent, read_events
from mtlkit.errors import RunError
from mtlkit.loggers.json_lines import JsonLinesWriter
from mtlkit.report.blocks import TableBlock
from mtlkit.report.history import speed_section, training_section, without_points
from mtlkit.report.svg import draw

finite = st.floats(allow_nan=False, allow_infinity=False)
named = st.dictionaries(st.text(max_size=5), finite, max_size=3)
events = st.one_of(
    st.builds(
        StepEvent, step=st.just(1), epoch=finite, learning_rate=finite, losses=named, weights=named
    ),
    st.builds(EvaluationEvent, step=st.just(1), epoch=finite, metrics=named),
    st.builds(
        Speed,
        step=st.just(1),
        seconds=finite,
        samples_per_second=finite,
        peak_memory_bytes=st.integers(0, 2**40),
    ),
)


def step(number: int, **weights: float) -> StepEvent:
    return StepEvent(
        step=number,
        epoch=number / 10,
        learning_rate=0.1,
        losses={"who": 1.0 / number},
        weights=weights or {"who": 1.0},
    )


@given(st.lists(events, max_size=5))
@settings(max_examples=40)
def test_events_are_read_as_they_were_written(tmp_path_factory, written):
    folder = tmp_path_factory.mktemp("log")
    writer = JsonLinesWriter(folder, 0)
    for event in written:
        writer.write(event)
    writer.close()
    found = [*read_events(folder / "log.jsonl"), *read_events(folder / "speed.jsonl")]
    by_file = sorted(written, key=lambda event: isinstance(event, Speed))
    assert found == by_file


def test_no_file_has_no_events(tmp_path):
    assert read_events(tmp_path / "log.jsonl") == []


@pytest.mark.parametrize("line", ["{", "[]", '"text"', "{}", '{"kind": "step", "step": "x"}'])
def test_a_line_of_something_else_is_named(tmp_path, line):
    path = tmp_path / "log.jsonl"
    path.write_text(f"{line}\n")
    with pytest.raises(RunError, match=r"log.jsonl:1: expected an event of mtlkit, got "):
        read_events(path)
    path.write_bytes(b'{"kind": "caf\xe9"}\n')
    with pytest.raises(RunError, match=r"log.jsonl:1: .* got '.*caf\\\\xe9"):
        read_events(path)


def test_without_events_nothing_is_shown():
    assert training_section([]) is None
    assert speed_section([step(1)]) is None


def test_each_metric_has_a_chart_and_each_task_a_curve():
    metrics = {"who/accuracy": 0.5, "who/loss": 1.0, "age/loss": 2.0, "age/mae": 3.0}
    section = training_section([EvaluationEvent(step=1, epoch=1.0, metrics=metrics)])
    found = {chart.title: set(chart.series) for chart in section.blocks}
    assert found == {
        "Validation accuracy": {"who"},
        "Validation loss": {"who", "age"},
        "Validation mae": {"age"},
    }


def test_a_task_without_a_number_at_some_step_has_a_shorter_curve():
    first = EvaluationEvent(step=1, epoch=1.0, metrics={"a/loss": 1.0})
    second = EvaluationEvent(step=2, epoch=2.0, metrics={"a/loss": 0.5, "b/loss": 3.0})
    (chart,) = training_section([first, second]).blocks
    assert chart.series["a"].x == (1.0, 2.0)
    assert (chart.series["b"].x, chart.series["b"].y) == ((2.0,), (3.0,))


@pytest.mark.parametrize("count", [1, 399, 400, 5000])
def test_long_curves_are_thinned_and_keep_their_end(count):
    section = training_section([step(number + 1) for number in range(count)])
    losses = section.blocks[0].series["who"]
    assert len(losses.x) <= 800
    assert losses.x[-1] == count / 10
    assert list(losses.x) == sorted(losses.x)


@pytest.mark.parametrize(
    ("weights", "in_magnitudes"),
    [({"a": 1.0, "b": 0.03}, True), ({"a": 1.0, "b": 0.5}, False), ({"a": 1.0, "b": 0.0}, False)],
)
def test_weights_far_apart_are_drawn_in_magnitudes(weights, in_magnitudes):
    charts = {chart.title: chart for chart in training_section([step(1, **weights)]).blocks}
    assert charts["Weights of the losses"].y_log is in_magnitudes


def test_what_is_not_finite_is_a_gap_in_its_curve(tmp_path):
    writer = JsonLinesWriter(tmp_path, 0)
    for number, loss in enumerate([1.0, math.inf, 0.5], 1):
        metrics = {"a/loss": loss}
        writer.write(EvaluationEvent(step=number, epoch=float(number), metrics=metrics))
        writer.write(step(number, a=1.0, b=loss / 100))
    writer.close()
    charts = {b.title: b for b in training_section(read_events(tmp_path / "log.jsonl")).blocks}
    first, gap, last = charts["Validation loss"].series["a"].y
    assert (first, math.isnan(gap), last) == (1.0, True, 0.5)
    assert charts["Weights of the losses"].y_log
    for chart in charts.values():
        svg = draw(chart, "c0")
        assert "nan" not in svg
        assert "inf" not in svg


def test_time_and_memory_are_those_of_the_end():
    section = speed_section(
        [
            Speed(step=i, seconds=40.0 * i, samples_per_second=100.0 * i, peak_memory_bytes=2**20)
            for i in (1, 2, 3)
        ]
    )
    rows = dict(section.blocks[0].rows)
    assert rows == {
        "training": "2 min 0 s",
        "steps": 3,
        "samples a second, median": 200.0,
        "peak memory": "1 MiB",
    }


def test_gradients_are_drawn_where_they_were_looked_at():
    watched = attrs.evolve(
        step(3),
        gradient_norms={"who": 0.01, "pose": 2.0},
        gradient_cosines={"who, pose": -0.5},
    )
    charts = {chart.title: chart for chart in training_section([step(1), watched, step(4)]).blocks}
    norms, cosines = charts["Gradient norms"], charts["Cosines between the tasks' gradients"]
    assert norms.y_log
    assert {name: series.y for name, series in norms.series.items()} == {
        "who": (0.01,), "pose": (2.0,)
    }  # fmt: skip
    assert cosines.series["who, pose"].y == (-0.5,)
    assert "Gradient norms" not in {c.title for c in training_section([step(1)]).blocks}


def test_curves_of_one_point_are_a_table():
    section = training_section([step(1)])
    [table] = without_points(section.blocks)
    assert isinstance(table, TableBlock)
    values = {(title, name): value for title, name, value in table.rows}
    chart = next(block for block in section.blocks if block.title == "Training loss")
    for name, series in chart.series.items():
        assert values["Training loss", name] == series.y[0]
    longer = training_section([step(1), step(2)]).blocks
    assert without_points(longer) == longer
