"""How the networks of a study learnt: accuracies, losses and weights by epoch."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import fmean

from mtlkit.loggers import EvaluationEvent, Event, StepEvent
from mtlkit.report import Chart, Series
from mtlkit_face.study.claim_parts import SIDES, Runs

ACCURACY = "accuracy/identity"
LOSS = "loss/identity"
_NAME = re.compile(r"epoch-(?P<epoch>[0-9.]+)/(?P<value>.+)")


def curve_metrics(events: Iterable[Event]) -> dict[str, float]:
    """What a run's log says of each epoch after which it was evaluated, by ``epoch-N/value``.

    Losses and weights are means over the steps since the evaluation before; accuracies are of
    images of known subjects that are not trained on.
    """
    found: dict[str, float] = {}
    steps: list[StepEvent] = []
    for event in events:
        if isinstance(event, StepEvent):
            steps.append(event)
        if not isinstance(event, EvaluationEvent):
            continue
        start = f"epoch-{event.epoch:g}"
        for name, value in event.metrics.items():
            task, _, metric = name.rpartition("/")
            if metric == "accuracy":
                found[f"{start}/accuracy/{task}"] = value
        for task in {task for step in steps for task in step.losses}:
            found[f"{start}/loss/{task}"] = fmean(s.losses[task] for s in steps if task in s.losses)
        for task in {task for step in steps for task in step.weights}:
            weights = [step.weights[task] for step in steps if task in step.weights]
            found[f"{start}/weight/{task}"] = fmean(weights)
        steps = []
    return found


def curve(runs: Mapping[int, Mapping[str, float]], value: str) -> Series | None:
    """The mean over seeds of a `value` by epoch; None where no run has it.

    >>> curve({0: {"epoch-5/loss/identity": 2.0}, 1: {"epoch-5/loss/identity": 1.0}}, LOSS)
    Series(x=(5.0,), y=(1.5,))
    """
    points: dict[float, list[float]] = {}
    for metrics in runs.values():
        for name, number in metrics.items():
            parts = _NAME.fullmatch(name)
            if parts is not None and parts["value"] == value:
                points.setdefault(float(parts["epoch"]), []).append(number)
    if not points:
        return None
    return Series(x=tuple(sorted(points)), y=tuple(fmean(points[x]) for x in sorted(points)))


def curve_charts(runs: Runs, arms: Sequence[str]) -> Iterator[Chart]:
    """Charts of how the networks `arms` learn to tell known subjects apart, and of their weights.

    Weights are drawn where they are not the same all the time.
    """
    known = {arm: runs[arm] for arm in arms if arm in runs}
    for value, title, log in (
        (ACCURACY, "Known subjects: accuracy on images that are not trained on", False),
        (LOSS, "Known subjects: the training loss of identity", True),
    ):
        curves = {arm: curve(found, value) for arm, found in known.items()}
        series = {arm: each for arm, each in curves.items() if each is not None}
        if series:
            yield Chart(
                title=title, kind="line", x_label="epoch", y_label=value.partition("/")[0],
                series=series, y_log=log, caption="Means over seeds.",
            )  # fmt: skip
    weights = {}
    for arm, found in known.items():
        for task in SIDES:
            each = curve(found, f"weight/{task}")
            if each is not None and max(each.y) - min(each.y) > 1e-6 * max(each.y):
                weights[f"{arm}: {task}"] = each
    if weights:
        yield Chart(
            title="Weights of side tasks that a gate sets", kind="line", x_label="epoch",
            y_label="weight", series=weights, caption="Means over seeds and over the steps since "
            "the evaluation before; where one line takes all, the gate has collapsed.",
        )  # fmt: skip
