"""What a person sees: lines without a terminal, a live display on one."""

import io

import pytest
from rich.console import Console

from mtlkit.runs import progress_display
from mtlkit.runs.progress_display import LiveProgress, PlainProgress, shown
from mtlkit.training.progress import Silence, TrainingProgress


def standing(step, steps=20, epochs=4, losses=None):
    return TrainingProgress(
        step=step, steps=steps, epoch=(step - 1) // (steps // epochs) + 1, epochs=epochs,
        steps_per_epoch=steps // epochs,
        samples_per_second=123.4, seconds_left=75.0,
        losses=losses or {"who": 1.5}, weights={"who": 1.0, "side": 0.05},
    )  # fmt: skip


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves."""
    now = [0.0]
    monkeypatch.setattr(progress_display.time, "monotonic", lambda: now[0])
    return now


def plain():
    file = io.StringIO()
    return shown(quiet=False, to=file), file


def test_without_a_terminal_there_is_a_line_an_epoch(clock):
    lines, file = plain()
    assert isinstance(lines, PlainProgress)
    for step in range(1, 21):
        lines.trained(standing(step))
    said = file.getvalue().splitlines()
    assert [line.split(" | ")[0] for line in said] == [
        f"epoch {epoch}/4 step {5 * epoch}/20" for epoch in (1, 2, 3, 4)
    ]
    assert said[0].split(" | ")[1:] == [
        "123 samples/s", "losses who 1.5", "weights who 1 side 0.05", "1 min 15 s left",
    ]  # fmt: skip


def test_without_a_terminal_there_is_a_line_every_ten_seconds(clock):
    lines, file = plain()
    for step in range(1, 1001):
        clock[0] += 1.0
        lines.trained(standing(step, steps=4000))
    said = len(file.getvalue().splitlines())
    assert 90 <= said <= 101


def test_loading_is_told_at_its_end_and_sometimes_between(clock):
    lines, file = plain()
    for done in range(1, 1001):
        lines.loading("rendering", done, 1000)
    said = file.getvalue().splitlines()
    assert said == ["rendering: 1 of 1000", "rendering: 1000 of 1000"]


def test_validation_and_remarks_are_lines(clock):
    lines, file = plain()
    lines.validated(2.0, {"who/accuracy": 0.75})
    lines.write("warning: [odd] brackets stay")
    lines.close()
    assert file.getvalue().splitlines() == [
        "validation after epoch 2: who/accuracy 0.75",
        "warning: [odd] brackets stay",
    ]


def test_a_terminal_shows_everything_live():
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    live = LiveProgress(console)
    live.loading("rendering", 3, 10)
    live.trained(standing(7))
    live.validated(1.0, {"who/accuracy": 0.75})
    live.trained(standing(8, losses={"who": 0.25}))
    live.close()
    text = console.file.getvalue()
    for part in ("rendering", "3/10", "training", "8/20", "123 samples/s", "epoch 2 of 4", "0.25",
                 "0.05", "who/accuracy 0.75"):  # fmt: skip
        assert part in text, part


def test_quiet_is_silent():
    silent = shown(quiet=True)
    assert isinstance(silent, Silence)
    silent.loading("a", 1, 1)
    silent.trained(standing(1))
    silent.validated(1.0, {})
    silent.write("nothing")
    silent.close()
