"""The targets of every split, checked before training."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from mtlkit.assembly import Assembly, encode_targets
from mtlkit.data.dataset import Data
from mtlkit.errors import DataError, shortened
from mtlkit.model import MultiTaskModel
from mtlkit.targets.base import Target
from mtlkit.targets.codes import CodedTarget
from mtlkit.targets.rows import CHUNK, Rows
from mtlkit.task import Task


def encoded_splits(
    data: Data,
    tasks: Mapping[str, Task],
    assembly: Assembly,
    note: Callable[[str], None] | None = None,
) -> dict[str, dict[str, Rows]]:
    """Return the targets of each task in every split, by split.

    `note` receives a line on each class that the data states, a later split has, and training
    lacks: the network cannot learn it; and on each task without a label in a later split.

    Raises `DataError` if a split disagrees with training: a class that training lacks, labels of
    another type, or a label on access that its target refuses. A run would otherwise fail after its
    last step.
    """
    encoded = {}
    trained: dict[str, Tensor] = {}  # which classes of each task occur in training
    for name, split in data.splits().items():
        open_labels = data.open_labels if name == "test" else frozenset[str]()
        encoded[name] = encode_targets(split, tasks, assembly, open_labels)
        for task, rows in encoded[name].items():
            target, label = assembly.targets[task], tasks[task].target or task
            place = f"tasks.{task}: the label {label!r} of"
            labeled, occurring = _presence(_checked(place, rows, split.ids, target), target)
            only_later = occurring & ~trained.setdefault(task, occurring)
            if note is not None and not labeled and label not in open_labels:
                note(
                    f"tasks.{task}: no sample of the {name} split has the label {label!r}, so this "
                    f"task has no metrics there"
                )
            if note is not None and only_later.any():
                names = target.classes or target.components
                shown = shortened([names[code] for code in only_later.nonzero().flatten().tolist()])
                note(
                    f"tasks.{task}: the {name} split has classes of the label {label!r} that no "
                    f"training sample has, so they cannot be learned: {shown}"
                )
    return encoded


def _presence(labels: Iterator[Tensor], target: Target) -> tuple[bool, Tensor]:
    """Return whether any label is present in the parts of `labels`, and which classes occur.

    No classes occur in labels that are not classes. All parts are read.
    """
    labeled, occurring = False, torch.zeros((), dtype=torch.bool)
    for part in labels:
        labeled = labeled or bool(target.weights(part).any())
        if isinstance(target, CodedTarget):
            occurring = occurring | target.occurring(part)
    return labeled, occurring


def fit_heads(model: MultiTaskModel, labels: Mapping[str, Rows]) -> None:
    """Fit each head to the training labels of its task; `DataError` names the task."""
    for task, rows in labels.items():
        try:
            model.head(task).fit_targets(rows)
        except DataError as cause:
            raise DataError(f"tasks.{task}.head: {cause}") from cause


def _checked(place: str, rows: Rows, ids: Sequence[str], target: Target) -> Iterator[Tensor]:
    """Yield all `rows` once, in parts; raise `DataError` with the sample that `target` refuses."""
    if isinstance(rows, Tensor):  # checked when the split was made
        yield rows
        return
    for index in torch.split(torch.arange(len(rows)), CHUNK):
        try:
            labels = rows[index]
            target.check(labels)
        except (DataError, RuntimeError):  # torch cannot stack labels of different sizes
            _check_each(place, rows, index, ids, target)
            raise
        yield labels


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
