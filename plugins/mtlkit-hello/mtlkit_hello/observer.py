"""Hooks that observe a run: the duration of each epoch, as a chart of the run's report."""

import json
from collections.abc import Sequence
from itertools import pairwise

from mtlkit.evaluators import Chart, Section, Series
from mtlkit.plugins import hookimpl
from mtlkit.runs import EpochEnded, Evaluated, RunInfo

FILE = "hello-epochs.jsonl"
"""The file in the run's folder with an epoch and its end, in seconds, on each line."""


@hookimpl
def mtlkit_epoch_ended(run: RunInfo, event: EpochEnded) -> None:
    """Record the end of the epoch, in seconds."""
    if run.recipe.data.__module__.startswith(f"{__package__}."):  # for this plugin's data only
        with (run.folder / FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps([event.epoch, event.seconds]) + "\n")


@hookimpl
def mtlkit_report_sections(run: RunInfo, event: Evaluated) -> Sequence[Section]:
    """Return a chart of the duration of each epoch, if there are any on record."""
    path = run.folder / FILE
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    ends = {0: 0.0, **dict(map(json.loads, lines))}
    durations = Series(
        x=tuple(ends)[1:], y=tuple(end - start for start, end in pairwise(ends.values()))
    )
    chart = Chart(
        title="Duration of epochs",
        kind="bar",
        x_label="epoch",
        y_label="seconds",
        series={"duration": durations},
    )
    return [Section(title="Epochs", blocks=(chart,))]
