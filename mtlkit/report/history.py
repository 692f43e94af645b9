"""What happened in training, drawn from its events."""

import math
import statistics
from collections.abc import Mapping, Sequence

import attrs

from mtlkit.loggers.events import EvaluationEvent, Event, Speed, StepEvent
from mtlkit.report.blocks import Block, Chart, Section, Series, TableBlock
from mtlkit.report.numbers import duration

_POINTS = 400
"""A curve is thinned to about this many points: more cannot be seen."""


def training_section(events: Sequence[Event]) -> Section | None:
    """Losses, weights, gradients and validation metrics over training; None without events."""
    steps = [event for event in events if isinstance(event, StepEvent)]
    evaluations = [event for event in events if isinstance(event, EvaluationEvent)]
    blocks: list[Block] = []
    if steps:
        epochs = [event.epoch for event in steps]
        blocks += [
            _curves("Training loss", "loss", epochs, [event.losses for event in steps]),
            _weights(epochs, [event.weights for event in steps]),
        ]
        watched = [event for event in steps if event.gradient_norms]
        if watched:
            blocks += _gradients(watched)
    blocks += _validation(evaluations)
    if steps:
        rates = [{"learning rate": event.learning_rate} for event in steps]
        blocks.append(_curves("Learning rate", "learning rate", epochs, rates))
    return Section(title="Training", blocks=tuple(blocks)) if blocks else None


def speed_section(events: Sequence[Event]) -> Section | None:
    """Time and memory; None where nothing was measured."""
    speeds = [event for event in events if isinstance(event, Speed)]
    if not speeds:
        return None
    last = speeds[-1]
    rows: list[tuple[str | int | float, ...]] = [
        ("training", duration(last.seconds)),
        ("steps", last.step),
        ("samples a second, median", statistics.median(e.samples_per_second for e in speeds)),
    ]
    peak = max(event.peak_memory_bytes for event in speeds)
    if peak:
        rows.append(("peak memory", f"{peak / 2**20:,.0f} MiB"))
    table = TableBlock(header=("", ""), rows=tuple(rows))
    chart = Chart(
        title="Speed",
        kind="line",
        x_label="step",
        y_label="samples a second",
        series={"speed": _series([(e.step, e.samples_per_second) for e in speeds])},
    )
    return Section(title="Time and memory", blocks=(table, chart))


def opening_charts(events: Sequence[Event]) -> list[Chart]:
    """Return the curves that say most: validation, without its losses, and the training loss."""
    section = training_section(events)
    charts = [block for block in section.blocks if isinstance(block, Chart)] if section else []
    validation = [c for c in charts if c.title.startswith("Validation") and c.y_label != "loss"]
    return [*validation[:1], *(chart for chart in charts if chart.title == "Training loss")]


def _weights(epochs: Sequence[float], values: Sequence[Mapping[str, float]]) -> Chart:
    """Weights over training; where they differ much, in magnitudes, that all can be seen."""
    chart = _curves("Weights of the losses", "weight", epochs, values)
    every = [y for series in chart.series.values() for y in series.y if math.isfinite(y)]
    wide = bool(every) and min(every) > 0 and max(every) > 5 * min(every)
    return attrs.evolve(chart, y_log=wide)


def _gradients(watched: Sequence[StepEvent]) -> list[Block]:
    """How long the tasks' gradients are, and where they agree (1) or conflict (-1)."""
    epochs = [event.epoch for event in watched]
    lengths = _curves("Gradient norms", "norm", epochs, [e.gradient_norms for e in watched])
    every = [y for series in lengths.series.values() for y in series.y if math.isfinite(y)]
    angles = [event.gradient_cosines for event in watched]
    return [
        attrs.evolve(lengths, y_log=bool(every) and min(every) > 0),
        _curves("Cosines between the tasks' gradients", "cosine", epochs, angles),
    ]


def _validation(evaluations: Sequence[EvaluationEvent]) -> list[Block]:
    """One chart for each metric, a curve for each task, so that a chart has one unit."""
    names = dict.fromkeys(name for event in evaluations for name in event.metrics)
    blocks: list[Block] = []
    for kind in dict.fromkeys(name.rpartition("/")[2] for name in names):
        ending = f"/{kind}"
        values = [
            {k.removesuffix(ending): x for k, x in event.metrics.items() if k.endswith(ending)}
            for event in evaluations
        ]
        epochs = [event.epoch for event in evaluations]
        blocks.append(_curves(f"Validation {kind}", kind, epochs, values))
    return blocks


def _curves(
    title: str, y_label: str, epochs: Sequence[float], values: Sequence[Mapping[str, float]]
) -> Chart:
    names = dict.fromkeys(name for each in values for name in each)
    series = {
        name: _series([(x, y[name]) for x, y in zip(epochs, values, strict=True) if name in y])
        for name in names
    }
    return Chart(title=title, kind="line", x_label="epoch", y_label=y_label, series=series)


def _series(points: Sequence[tuple[float, float]]) -> Series:
    """The points, thinned evenly; the last one is kept."""
    every = max(1, len(points) // _POINTS)
    kept = list(points[::-1][::every])[::-1]
    return Series(x=tuple(x for x, _ in kept), y=tuple(y for _, y in kept))
