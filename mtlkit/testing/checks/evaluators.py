"""Checks of evaluators and loggers."""

import json
import tempfile
from pathlib import Path

import torch

from mtlkit.evaluators.base import EvaluationResult
from mtlkit.evaluators.trained_model import TrainedModel
from mtlkit.loggers.base import LogWriter
from mtlkit.loggers.events import EvaluationEvent, Event, Speed, StepEvent
from mtlkit.report.evaluation import Evaluation, evaluation_to_json
from mtlkit.testing.check import Subject, checks, require, require_type
from mtlkit.testing.small_data import small_model, small_recipe


def trained_model(subject: Subject) -> TrainedModel:
    """Return a model and its data, for the recipe of the example or the small recipe."""
    recipe = subject.example.recipe or small_recipe()
    model, data = small_model(recipe)
    subject.value.check(data)
    return TrainedModel(model, data, recipe.tasks, torch.device("cpu"))


def returns_numbers(subject: Subject) -> None:
    """It returns an EvaluationResult with numeric metrics, of which headlines are a subset."""
    result = subject.value.evaluate(trained_model(subject))
    require_type(result, EvaluationResult, "evaluate")
    invalid = [name for name, value in result.metrics.items() if type(value) not in (int, float)]
    require(not invalid, f"the metric {', '.join(invalid)} is not a number")
    unknown = [name for name in result.headlines if name not in result.metrics]
    require(not unknown, f"the headline {', '.join(unknown)} is not a metric")
    start = subject.value.prefix
    outside = [name for name in result.metrics if start and not name.startswith(f"{start}/")]
    require(not outside, f"the metric {', '.join(outside)} does not start with {start!r}")


def repeats_its_result(subject: Subject) -> None:
    """Evaluating the same model twice returns the same result."""
    model = trained_model(subject)
    first, second = (_text(subject.value.evaluate(model)) for _ in range(2))
    require(first == second, "two evaluations return different results")


def leaves_the_model_unchanged(subject: Subject) -> None:
    """It changes neither the weights nor the evaluation mode of the model."""
    trained = trained_model(subject)
    before = {name: value.clone() for name, value in trained.model.state_dict().items()}
    subject.value.evaluate(trained)
    changed = [n for n, v in trained.model.state_dict().items() if not torch.equal(v, before[n])]
    require(not changed, f"it changes {', '.join(changed)} of the model")
    require(not trained.model.training, "it leaves the model in training mode")


def returns_serializable_sections(subject: Subject) -> None:
    """Its sections have a title and blocks, and can be stored as JSON for reports."""
    result = subject.value.evaluate(trained_model(subject))
    text = json.loads(_text(result))
    require(len(text["sections"]) == len(result.sections), "a section is lost in JSON")
    for section in result.sections:
        require(bool(section.title and section.blocks), "a section has no title or no blocks")


def _text(result: EvaluationResult) -> str:
    return evaluation_to_json(
        Evaluation(metrics=result.metrics, headlines=result.headlines, sections=result.sections)
    )


def _events(first: int, last: int) -> list[Event]:
    events: list[Event] = []
    for step in range(first, last + 1):
        events += [
            StepEvent(
                step=step, epoch=step / 4, learning_rate=0.1,
                losses={"kind": 1 / step}, weights={"kind": 1.0},
            ),
            EvaluationEvent(step=step, epoch=step / 4, metrics={"kind/accuracy": 0.5}),
            Speed(step=step, seconds=1.0, samples_per_second=2.0, peak_memory_bytes=3),
        ]  # fmt: skip
    return events


def _log(subject: Subject, folder: Path, start: int, end: int) -> None:
    writer = subject.value.open(folder, start)
    require_type(writer, LogWriter, "open")
    for event in _events(start + 1, end):
        writer.write(event)
    writer.close()


def _files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def flushes_to_disk(subject: Subject) -> None:
    """After `flush` all events are on disk, in the folder of the run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        writer = subject.value.open(folder, 0)
        for event in _events(1, 3):
            writer.write(event)
        writer.flush()
        flushed = sum(map(len, _files(folder).values()))
        writer.close()
        closed = sum(map(len, _files(folder).values()))
    require(flushed > 0, "the folder of the run is empty after `flush`")
    require(flushed == closed, f"{closed - flushed} bytes are written only after `flush`")


def discards_events_after_the_checkpoint(subject: Subject) -> None:
    """Opened at an earlier step, it discards the events after this step and continues."""
    with tempfile.TemporaryDirectory() as name:
        whole, resumed = Path(name) / "whole", Path(name) / "resumed"
        for folder in (whole, resumed):
            folder.mkdir()
        _log(subject, whole, 0, 6)
        _log(subject, resumed, 0, 5)
        _log(subject, resumed, 3, 6)
        same = _files(whole) == _files(resumed)
    require(same, "after resuming, its files differ from those of an uninterrupted run")


EVALUATOR_CHECKS = checks(
    returns_numbers, repeats_its_result, leaves_the_model_unchanged, returns_serializable_sections
)
LOGGER_CHECKS = checks(flushes_to_disk, discards_events_after_the_checkpoint)
