"""Properties of the data that define a network, and the targets of a split."""

from collections.abc import Mapping

import attrs
import torch

from mtlkit.data.columns import Categorical
from mtlkit.data.dataset import Data, Split
from mtlkit.errors import DataError
from mtlkit.features.inputs import InputSpecs
from mtlkit.targets.base import Target
from mtlkit.targets.class_label import ClassTarget
from mtlkit.targets.rows import Rows
from mtlkit.task import Task, label_mismatch
from mtlkit.task_types import MISSING


@attrs.frozen(kw_only=True)
class Assembly:
    """Properties of the data that define a network, saved with the model."""

    inputs: InputSpecs
    targets: Mapping[str, Target]  # of each task

    @property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """Names of the classes of each task that predicts classes."""
        return {task: target.classes for task, target in self.targets.items() if target.classes}


def assembly_of(data: Data, tasks: Mapping[str, Task]) -> Assembly:
    """Return the assembly for `tasks` on `data`. Raises `DataError` if a label does not fit."""
    targets: dict[str, Target] = {}
    for name, task in tasks.items():
        label = task.target or name
        try:
            column = data.train.column(label)
        except DataError as cause:
            raise DataError(f"tasks.{name}: {cause}") from cause
        if not column.present().any():
            raise DataError(f"tasks.{name}: {_missing(label, column.target)}, or remove the task")
        targets[name] = target = column.target
        if mismatch := label_mismatch(label, target, task.head):
            raise DataError(f"tasks.{name}: {mismatch}")
    return Assembly(inputs=data.input_specs, targets=targets)


def _missing(label: str, target: Target) -> str:
    if target.dims == 1:
        return f"no training sample has the label {label!r}; add samples with it"
    return (
        f"every element of the label {label!r} is missing in training, {target.noun} "
        f"{target.shape}; correct the codes of missing elements"
    )


def encode_targets(
    split: Split,
    tasks: Mapping[str, Task],
    assembly: Assembly,
    open_labels: frozenset[str] = frozenset(),
) -> dict[str, Rows]:
    """Return the targets (N, ...) of each task in `split`, with the class codes of training.

    A class that is absent from training counts as missing for `open_labels`; otherwise raises
    `DataError`, as for labels of another type than those of training.
    """
    return {
        name: _encoded(name, task.target or name, split, assembly.targets[name], open_labels)
        for name, task in tasks.items()
    }


def _encoded(
    task: str, label: str, split: Split, target: Target, open_labels: frozenset[str]
) -> Rows:
    column = split.column(label)
    if not (isinstance(column, Categorical) and isinstance(target, ClassTarget)):
        if column.target != target:
            other = column.target
            raise DataError(
                f"tasks.{task}: the label {label!r} is {other.noun} {other.shape} in one split and "
                f"{target.noun} {target.shape} in training, or has other names: {other} and "
                f"{target}; give all splits the same label"
            )
        return column.rows
    known = target.classes
    codes = {value: code for code, value in enumerate(known)}
    table = torch.tensor([codes.get(value, MISSING) for value in column.names] + [MISSING])
    recoded = table[column.codes]  # the code -1 selects the last entry, MISSING
    unknown = (recoded == MISSING) & column.present()
    if label not in open_labels and unknown.any():
        first = int(unknown.nonzero()[0])
        raise DataError(
            f"tasks.{task}: {split.ids[first]}: the label {label!r} is "
            f"{column.names[int(column.codes[first])]!r}, which no training sample has; "
            f"expected one of {', '.join(known[:10])}{', ...' if len(known) > 10 else ''}. "
            f"Change the split, or correct the label"
        )
    return recoded
