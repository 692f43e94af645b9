"""What an evaluator and a logger promise."""

import json
import tempfile
from pathlib import Path

import torch

from mtlkit.evaluators.base import EvaluationResult
from mtlkit.evaluators.trained_model import TrainedModel
from mtlkit.loggers.base import LogWriter
from mtlkit.loggers.events import EvaluationEvent, Event, Speed, StepEvent
from mtlkit.report.evaluation import Evaluation, evaluation_to_json
from mtlkit.testing.check import Subject, checks, require
from mtlkit.testing.world import small_model, small_recipe


def trained(subject: Subject) -> TrainedModel:
    """A model beside its data: of the example's recipe, or of the small world."""
    recipe = subject.example.recipe or small_recipe()
    model, data = small_model(recipe)
    subject.value.check(data)
    return TrainedModel(model, data, recipe.tasks, torch.device("cpu"))


def finds_numbers(subject: Subject) -> None:
    """It gives Findings: metrics are numbers by a path, headlines are among them."""
    found = subject.value.evaluate(trained(subject))
    require(
        isinstance(found, EvaluationResult), f"evaluate gives a {type(found).__name__}, no Findings"
    )
    strange = [name for name, value in found.metrics.items() if type(value) not in (int, float)]
    require(not strange, f"the metric {', '.join(strange)} is no number")
    unknown = [name for name in found.headlines if name not in found.metrics]
    require(not unknown, f"the headline {', '.join(unknown)} is no metric")
    start = subject.value.prefix
    outside = [name for name in found.metrics if start and not name.startswith(f"{start}/")]
    require(not outside, f"the metric {', '.join(outside)} does not start with {start!r}")


def finds_the_same_again(subject: Subject) -> None:
    """Asked again of the same model it gives the same findings."""
    asked = trained(subject)
    first, second = (_text(subject.value.evaluate(asked)) for _ in range(2))
    require(first == second, "asked twice it gives two answers")


def changes_nothing(subject: Subject) -> None:
    """It leaves the model as it is: weights, and evaluation mode."""
    asked = trained(subject)
    before = {name: value.clone() for name, value in asked.model.state_dict().items()}
    subject.value.evaluate(asked)
    changed = [n for n, v in asked.model.state_dict().items() if not torch.equal(v, before[n])]
    require(not changed, f"it changes {', '.join(changed)} of the model")
    require(not asked.model.training, "it leaves the model in training mode")


def shows_what_a_report_can_draw(subject: Subject) -> None:
    """Its sections are blocks that are kept as JSON, from which the report is drawn."""
    found = subject.value.evaluate(trained(subject))
    text = json.loads(_text(found))
    require(len(text["sections"]) == len(found.sections), "a section is lost in JSON")
    for section in found.sections:
        require(bool(section.title and section.blocks), "a section has no title or shows nothing")


def _text(found: EvaluationResult) -> str:
    return evaluation_to_json(
        Evaluation(metrics=found.metrics, headlines=found.headlines, sections=found.sections)
    )


def _events(first: int, last: int) -> list[Event]:
    found: list[Event] = []
    for step in range(first, last + 1):
        found += [
            StepEvent(
                step=step, epoch=step / 4, learning_rate=0.1,
                losses={"kind": 1 / step}, weights={"kind": 1.0},
            ),
            EvaluationEvent(step=step, epoch=step / 4, metrics={"kind/accuracy": 0.5}),
            Speed(step=step, seconds=1.0, samples_per_second=2.0, peak_memory_bytes=3),
        ]  # fmt: skip
    return found


def _log(subject: Subject, folder: Path, start: int, end: int) -> None:
    writer = subject.value.open(folder, start)
    require(isinstance(writer, LogWriter), f"open gives a {type(writer).__name__}, no LogWriter")
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
    """After `flush` what was written is on disk, in the run's folder."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        writer = subject.value.open(folder, 0)
        for event in _events(1, 3):
            writer.write(event)
        writer.flush()
        flushed = sum(map(len, _files(folder).values()))
        writer.close()
        closed = sum(map(len, _files(folder).values()))
    require(flushed > 0, "nothing is in the run's folder after `flush`")
    require(flushed == closed, f"{closed - flushed} bytes come to the disk after `flush` only")


def forgets_what_came_after_the_checkpoint(subject: Subject) -> None:
    """Opened at an earlier step it goes on as if nothing had been written after it."""
    with tempfile.TemporaryDirectory() as name:
        whole, resumed = Path(name) / "whole", Path(name) / "resumed"
        for folder in (whole, resumed):
            folder.mkdir()
        _log(subject, whole, 0, 6)
        _log(subject, resumed, 0, 5)
        _log(subject, resumed, 3, 6)
        same = _files(whole) == _files(resumed)
    require(same, "after a stop its files differ from those of a run without one")


EVALUATOR_CHECKS = checks(
    finds_numbers, finds_the_same_again, changes_nothing, shows_what_a_report_can_draw
)
LOGGER_CHECKS = checks(flushes_to_disk, forgets_what_came_after_the_checkpoint)
