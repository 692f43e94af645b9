"""The targets of every split, checked before training."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mtlkit.assembly import Assembly, encode_targets
from mtlkit.data.dataset import Data
from mtlkit.errors import DataError
from mtlkit.model import MultiTaskModel
from mtlkit.targets.base import Target
from mtlkit.targets.rows import CHUNK, Rows
from mtlkit.task import Task


def encoded_splits(
    data: Data, tasks: Mapping[str, Task], assembly: Assembly
) -> dict[str, dict[str, Rows]]:
    """Return the targets of each task in every split, by split.

    Raises `DataError` if a split disagrees with training: a class that training lacks, labels of
    another type, or a label on access that its target refuses. A run would otherwise fail after its
    last step.
    """
    encoded = {}
    for name, split in data.splits().items():
        open_labels = data.open_labels if name == "test" else frozenset[str]()
        encoded[name] = encode_targets(split, tasks, assembly, open_labels)
        for task, rows in encoded[name].items():
            if not isinstance(rows, Tensor):
                place = f"tasks.{task}: the label {tasks[task].target or task!r} of"
                _check(place, rows, split.ids, assembly.targets[task])
    return encoded


def fit_heads(model: MultiTaskModel, labels: Mapping[str, Rows]) -> None:
    """Fit each head to the training labels of its task; `DataError` names the task."""
    for task, rows in labels.items():
        try:
            model.head(task).fit_targets(rows)
        except DataError as cause:
            raise DataError(f"tasks.{task}.head: {cause}") from cause


def _check(place: str, rows: Rows, ids: Sequence[str], target: Target) -> None:
    """Read all `rows` once; raise `DataError` with the sample whose label `target` refuses."""
    for index in torch.split(torch.arange(len(rows)), CHUNK):
        try:
            target.check(rows[index])
        except (DataError, RuntimeError):  # torch cannot stack labels of different sizes
            _check_each(place, rows, index, ids, target)
            raise


def _check_each(place: str, rows: Rows, index: Tensor, ids: Sequence[str], target: Target) -> None:
    first = tuple(rows[index[:1]].shape[1:])
    for number in index:
        labels = rows[number.reshape(1)]
        shape = tuple(labels.shape[1:])
        try:
            target.check(labels)
        except DataError as cause:
            raise DataError(f"{place} {ids[int(number)]}: {cause}") from cause
        if shape != first:
            raise DataError(
                f"{place} {ids[int(number)]}: got the shape {shape}, expected {first}, that of "
                f"{ids[int(index[0])]}; resize all labels to one size"
            )
