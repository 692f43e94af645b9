"""Learning curves of a study: accuracies, losses and weights by epoch."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import fmean

from mtlkit.callbacks import EvaluationEvent, Event, StepEvent
from mtlkit.evaluators import Chart, Series
from mtlkit_face.study.claim_parts import SIDES, Runs

ACCURACY = "accuracy/identity"
LOSS = "loss/identity"
_NAME = re.compile(r"epoch-(?P<epoch>[0-9.]+)/(?P<value>.+)")


def curve_metrics(events: Iterable[Event]) -> dict[str, float]:
    """Return the metrics at each evaluation in a run's log, by ``epoch-N/value``.

    Losses and weights are means over the steps since the previous evaluation; accuracies are those
    of images of training subjects that are not trained on.
    """
    metrics: dict[str, float] = {}
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
                metrics[f"{start}/accuracy/{task}"] = value
        for task in {task for step in steps for task in step.losses}:
            metrics[f"{start}/loss/{task}"] = fmean(
                s.losses[task] for s in steps if task in s.losses
            )
        for task in {task for step in steps for task in step.weights}:
            weights = [step.weights[task] for step in steps if task in step.weights]
            metrics[f"{start}/weight/{task}"] = fmean(weights)
        steps = []
    return metrics


def curve(runs: Mapping[int, Mapping[str, float]], value: str) -> Series | None:
    """Return the mean over seeds of a `value` by epoch, or None if no run has it.

    >>> curve({0: {"epoch-5/loss/identity": 2.0}, 1: {"epoch-5/loss/identity": 1.0}}, LOSS).y
    (1.5,)
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
    """Yield charts of the identity task of training subjects, and of side tasks' weights, by arm.

    Constant weights are left out.
    """
    runs = {arm: runs[arm] for arm in arms if arm in runs}
    for value, title, log in (
        (ACCURACY, "Training subjects: accuracy on images that are not trained on", False),
        (LOSS, "Training subjects: the training loss of identity", True),
    ):
        curves = {arm: curve(seeds, value) for arm, seeds in runs.items()}
        series = {arm: points for arm, points in curves.items() if points is not None}
        if series:
            yield Chart(
                title=title, kind="line", x_label="epoch", y_label=value.partition("/")[0],
                series=series, y_log=log, caption="Means over seeds.",
            )  # fmt: skip
    weights = {}
    for arm, seeds in runs.items():
        for task in SIDES:
            points = curve(seeds, f"weight/{task}")
            if points is not None and max(points.y) - min(points.y) > 1e-6 * max(points.y):
                weights[f"{arm}: {task}"] = points
    if weights:
        yield Chart(
            title="Weights of side tasks that a gate sets", kind="line", x_label="epoch",
            y_label="weight", series=weights, caption="Means over seeds and over the steps since "
            "the previous evaluation; if one task has all the weight, the gate has collapsed.",
        )  # fmt: skip
