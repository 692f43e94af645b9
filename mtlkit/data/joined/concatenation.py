"""Rows and columns of several sources as one; the labels of other sources are missing."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import attrs
import torch
from torch import Tensor

from mtlkit.data.columns import Categorical, Column, Labels, Numeric
from mtlkit.data.dataset import Split
from mtlkit.data.inputs import Inputs, join_batches
from mtlkit.errors import DataError
from mtlkit.features.inputs import Batch
from mtlkit.targets.base import Target
from mtlkit.targets.class_label import ClassTarget
from mtlkit.targets.number import NumberTarget
from mtlkit.targets.rows import Rows
from mtlkit.task_types import MISSING

P = TypeVar("P", Rows, Inputs)


@attrs.frozen(eq=False)
class ConcatRows:
    """The rows of all `parts`, one part after another, read on access.

    >>> rows = ConcatRows((torch.tensor([3, 4]), torch.tensor([5])))
    >>> rows[torch.tensor([2, 0])].tolist()
    [5, 3]
    """

    parts: Sequence[Rows]

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __getitem__(self, index: Tensor, /) -> Tensor:
        read = [(places, part[inner]) for places, part, inner in _by_part(self.parts, index)]
        return _ordered("labels", [values for _, values in read], [places for places, _ in read])


@attrs.frozen(eq=False)
class ConcatInputs:
    """The samples of all `parts`, one part after another, read on access."""

    parts: Sequence[Inputs]

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __getitem__(self, index: Tensor, /) -> Batch:
        read = [(places, part[inner]) for places, part, inner in _by_part(self.parts, index)]
        places = [place for place, _ in read]
        return join_batches(
            lambda name, values: _ordered(name, values, places), [batch for _, batch in read]
        )


def _by_part(parts: Sequence[P], index: Tensor) -> list[tuple[Tensor, P, Tensor]]:
    """Return places in `index`, the part that holds these rows, and their index in the part."""
    ends = torch.tensor([len(part) for part in parts]).cumsum(0)
    numbers = torch.bucketize(index, ends, right=True)
    selected = []
    for number in sorted(set(numbers.tolist())):
        places = (numbers == number).nonzero().flatten()
        start = int(ends[number]) - len(parts[number])
        selected.append((places, parts[number], index[places] - start))
    return selected


def _ordered(name: str, values: Sequence[Tensor], places: Sequence[Tensor]) -> Tensor:
    """Return the rows of `values` at their `places`."""
    shapes = sorted({tuple(part.shape[1:]) for part in values})
    if len(shapes) > 1:
        raise DataError(
            f"data.sources: {name}: got samples of shape {shapes[0]} and {shapes[1]} in one batch, "
            f"expected one; pad or resize the samples of all sources to one size"
        )
    return torch.cat(list(values))[torch.cat(list(places)).argsort()]


Parts = Mapping[str, Split]
"""The samples of each source in one split."""


def targets_of(*splits: Parts) -> dict[str, Target]:
    """Return the type of each label over the `splits` of all sources, with merged classes.

    Classes keep the order of the first split and source that has them. Raises `DataError` if
    sources give a label different types.
    """
    merged: dict[str, tuple[str, Target]] = {}
    columns = (
        (source, label, column.target)
        for parts in splits
        for source, split in parts.items()
        for label, column in split.columns.items()
    )
    for source, label, target in columns:
        first, before = merged.setdefault(label, (source, target))
        if isinstance(before, ClassTarget) and isinstance(target, ClassTarget):
            names = tuple(dict.fromkeys((*before.names, *target.names)))
            merged[label] = (first, ClassTarget(names=names))
        elif before != target:
            raise DataError(
                f"data.sources: the label {label!r} is {_described(before)} in {first}, and "
                f"{_described(target)} in {source}; expected one type, so give one of them "
                f"another name by `rename`"
            )
    return {label: target for label, (_, target) in merged.items()}


def _described(target: Target) -> str:
    names = ", ".join(target.components[:5])
    return f"{target.noun} {target.shape}" + (f" of {names}" if names else "")


def concat_column(label: str, target: Target, parts: Parts, examples: Mapping[str, Rows]) -> Column:
    """Return the column `label` of all `parts`; sources without it have missing labels.

    `examples` has rows of each label, from which missing ones take their shape.
    """
    columns = {source: split.columns.get(label) for source, split in parts.items()}
    if isinstance(target, ClassTarget):
        codes = [_recoded(columns[name], target.names, len(part)) for name, part in parts.items()]
        return Categorical(torch.cat(codes), target.names)
    like = examples[label][torch.tensor([0])]
    missing = torch.full_like(like, target.missing)  # expanded without a copy
    rows: list[Rows] = [
        missing.expand(len(parts[source]), *like.shape[1:]) if column is None else column.rows
        for source, column in columns.items()
    ]
    tensors = [part for part in rows if isinstance(part, Tensor)]
    if len(tensors) < len(rows):
        return Labels(target, ConcatRows(rows))
    values = torch.cat(tensors)
    if isinstance(target, NumberTarget):
        return Numeric(values, target.unit)
    return Labels(target, values)


def _recoded(column: Column | None, names: Sequence[str], count: int) -> Tensor:
    """Return the codes (N,) of `column` in `names`; -1 if there is none."""
    if column is None:
        return torch.full((count,), MISSING)
    assert isinstance(column.target, ClassTarget)
    code_of = {name: code for code, name in enumerate(names)}
    table = torch.tensor([*(code_of[name] for name in column.target.names), MISSING])
    return table[column[torch.arange(len(column))]]  # the code -1 selects the last entry, MISSING
