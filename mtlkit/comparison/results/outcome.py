"""The measurements of a finished run, as a record of the study."""

import math

import attrs

from mtlkit.comparison.results.record import Record, Stage
from mtlkit.runs.report import read_evaluation
from mtlkit.runs.storage.folder import RunFolder

_SPLITS = ("train", "validation", "test")


def measured(record: Record, folder: RunFolder) -> Record:
    """Return `record` with the finite metrics and the cost of its finished run in `folder`.

    Metrics of evaluators without a split in their name belong to the test split.
    """
    evaluation, status = read_evaluation(folder), folder.status()
    metrics: dict[str, dict[str, float]] = {split: {} for split in _SPLITS}
    for name, value in evaluation.metrics.items():
        split, _, rest = name.partition("/")
        split, rest = (split, rest) if split in metrics else ("test", name)
        if math.isfinite(value):
            metrics[split][rest] = value
    return attrs.evolve(
        record,
        steps=int(evaluation.budget["steps"]),
        seconds=evaluation.budget["seconds"],
        peak_memory_bytes=status.peak_memory_bytes,
        parameters=int(evaluation.budget["parameters"]),
        validation=metrics["validation"],
        test=metrics["test"] if record.stage is Stage.FINAL else {},
    )


def losses_of(record: Record) -> dict[str, float]:
    """The validation losses of a trial, by task."""
    ends = "/loss"
    return {
        name.removesuffix(ends): value
        for name, value in record.validation.items()
        if name.endswith(ends) and name.count("/") == 1
    }
