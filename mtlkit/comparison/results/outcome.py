"""What a finished run says of itself, as the record of a study."""

import math

import attrs

from mtlkit.comparison.results.record import Record, Stage
from mtlkit.runs.folder import RunFolder
from mtlkit.runs.report import read_evaluation

_SPLITS = ("train", "validation", "test")


def measured(record: Record, folder: RunFolder) -> Record:
    """`record` with what its finished run in `folder` measured; metrics that are NaN are left out.

    What evaluators measure without naming a split belongs to the test, for which they are there.
    """
    evaluation, status = read_evaluation(folder), folder.status()
    found: dict[str, dict[str, float]] = {split: {} for split in _SPLITS}
    for name, value in evaluation.metrics.items():
        split, _, rest = name.partition("/")
        split, rest = (split, rest) if split in found else ("test", name)
        if math.isfinite(value):
            found[split][rest] = value
    return attrs.evolve(
        record,
        steps=int(evaluation.budget["steps"]),
        seconds=evaluation.budget["seconds"],
        peak_memory_bytes=status.peak_memory_bytes,
        parameters=int(evaluation.budget["parameters"]),
        validation=found["validation"],
        test=found["test"] if record.stage is Stage.FINAL else {},
    )


def losses_of(record: Record) -> dict[str, float]:
    """The validation losses of a trial, by task."""
    ends = "/loss"
    return {
        name.removesuffix(ends): value
        for name, value in record.validation.items()
        if name.endswith(ends) and name.count("/") == 1
    }
