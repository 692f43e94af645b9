"""Charts of training, drawn from its events."""

import math
import statistics
from collections.abc import Mapping, Sequence

import attrs

from mtlkit.loggers.events import EvaluationEvent, Event, Speed, StepEvent
from mtlkit.report.blocks import Block, Chart, Section, Series, TableBlock
from mtlkit.report.folding import MEAN, fold
from mtlkit.report.numbers import duration
from mtlkit.task_types import FOLD_ABOVE

_POINTS = 400
"""Approximate number of points that a curve is thinned to; more are not visible."""


def training_section(events: Sequence[Event]) -> Section | None:
    """Return losses, weights, gradients and validation metrics over training, or None."""
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
    """Return time and memory, or None if nothing was measured."""
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
    """Return the main curves: validation, without its losses, and the training loss."""
    section = training_section(events)
    charts = [block for block in section.blocks if isinstance(block, Chart)] if section else []
    validation = [c for c in charts if c.title.startswith("Validation") and c.y_label != "loss"]
    return [*validation[:1], *(chart for chart in charts if chart.title == "Training loss")]


def _weights(epochs: Sequence[float], values: Sequence[Mapping[str, float]]) -> Chart:
    """Return weights over training, on a log scale if they differ by more than a factor of 5."""
    chart = _curves("Weights of the losses", "weight", epochs, values)
    finite = [y for series in chart.series.values() for y in series.y if math.isfinite(y)]
    wide = bool(finite) and min(finite) > 0 and max(finite) > 5 * min(finite)
    return attrs.evolve(chart, y_log=wide)


def _gradients(watched: Sequence[StepEvent]) -> list[Block]:
    """Return norms and cosines of the tasks' gradients; 1 is agreement, -1 conflict."""
    epochs = [event.epoch for event in watched]
    norms = _curves("Gradient norms", "norm", epochs, [e.gradient_norms for e in watched])
    values = [y for series in norms.series.values() for y in series.y if math.isfinite(y)]
    cosines = [event.gradient_cosines for event in watched]
    return [
        attrs.evolve(norms, y_log=bool(values) and min(values) > 0),
        _curves("Cosines between the tasks' gradients", "cosine", epochs, cosines),
    ]


def _validation(evaluations: Sequence[EvaluationEvent]) -> list[Block]:
    """Return a chart per metric with a curve per task, so that a chart has one unit."""
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
    names = dict.fromkeys(name for row in values for name in row)
    if len(names) > FOLD_ABOVE:
        y_label = f"{y_label}, mean and range of {len(names)}"
        values = [_range({k: v for k, v in row.items() if k != MEAN}) for row in values]
        names = dict.fromkeys(("mean", "lowest", "highest"))
    series = {
        name: _series([(x, y[name]) for x, y in zip(epochs, values, strict=True) if name in y])
        for name in names
    }
    return Chart(title=title, kind="line", x_label="epoch", y_label=y_label, series=series)


def _range(values: Mapping[str, float]) -> dict[str, float]:
    """Return mean, lowest and highest of the numbers of many tasks; nothing if none is finite."""
    folded = fold(values)
    if folded is None:
        return {}
    return {"mean": folded.mean, "lowest": folded.lowest, "highest": folded.highest}


def _series(points: Sequence[tuple[float, float]]) -> Series:
    """Return the points, thinned evenly; the last one is kept."""
    every = max(1, len(points) // _POINTS)
    kept = list(points[::-1][::every])[::-1]
    return Series(x=tuple(x for x, _ in kept), y=tuple(y for _, y in kept))


def without_points(blocks: Sequence[Block]) -> tuple[Block, ...]:
    """Return the blocks, with one table in place of the charts if none of them has a line.

    A run with one logged step has no curves, and then needs no library that draws them.
    """
    points = [block for block in blocks if isinstance(block, Chart)]
    if not points or not all(map(is_point, points)):
        return tuple(blocks)
    rows = tuple(
        (chart.title, name, series.y[0])
        for chart in points
        for name, series in chart.series.items()
        if series.y
    )
    table = TableBlock(header=("", "", "value"), rows=rows)
    first = blocks.index(points[0])
    return tuple(
        table if index == first else block
        for index, block in enumerate(blocks)
        if index == first or block not in points
    )


def is_point(chart: Chart) -> bool:
    """Return whether `chart` is a line chart without a line: its curves have at most one point."""
    return chart.kind == "line" and all(len(series.x) < 2 for series in chart.series.values())
