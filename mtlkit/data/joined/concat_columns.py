"""Columns of several sources as one: merged classes, and missing labels of the other sources."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mtlkit.data.columns import Categorical, Column, Labels, Numeric
from mtlkit.data.dataset import Split
from mtlkit.data.joined.concat_rows import ConcatRows, MissingRows
from mtlkit.errors import DataError
from mtlkit.targets.base import Target
from mtlkit.targets.class_label import ClassTarget
from mtlkit.targets.number import NumberTarget
from mtlkit.targets.rows import Rows
from mtlkit.task_types import MISSING

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
    like = examples[label][torch.tensor([0])][0]
    rows = [
        column.rows if column is not None else MissingRows(len(parts[source]), like, target.missing)
        for source, column in columns.items()
    ]
    if not all(isinstance(part, Tensor | MissingRows) for part in rows):
        return Labels(target, ConcatRows(rows))
    values = torch.cat([part[torch.arange(len(part))] for part in rows])
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
