"""Columns of a table grouped under one label: vectors, and several binary labels."""

import fnmatch
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import torch

from mtlkit.data.columns import Column, Labels
from mtlkit.data.label_columns import LabelOptions, shortened
from mtlkit.data.listing.image_listing import Row
from mtlkit.errors import DataError, did_you_mean
from mtlkit.targets.base import Target
from mtlkit.targets.class_label import ClassTarget
from mtlkit.targets.multi_label import MultiLabelTarget
from mtlkit.targets.number import NumberTarget
from mtlkit.targets.vector import VectorTarget
from mtlkit.task_types import MISSING

TRUTHS = {"1": 1, "1.0": 1, "true": 1, "yes": 1, "0": 0, "0.0": 0, "false": 0, "no": 0}
"""Values of a binary label by their text in lower case; pandas writes 1.0 next to empty cells."""


def patterns(_: Any, field: "attrs.Attribute[Any]", value: Mapping[str, tuple[str, ...]]) -> None:
    """Accept lists of columns by label, none of them empty."""
    for label, columns in value.items():
        if not columns:
            raise ValueError(f"{field.name}: {label}: expected columns, got none")


def stated_targets(config: LabelOptions, single: Sequence[str]) -> dict[str, type[Target]]:
    """Return the types of the `single` labels and of the groups."""
    types = {name: NumberTarget if name in config.numeric else ClassTarget for name in single}
    vectors = dict.fromkeys(config.vectors, VectorTarget)
    return {**types, **vectors, **dict.fromkeys(config.multi_label, MultiLabelTarget)}


def grouped_columns(config: LabelOptions, known: Sequence[str]) -> dict[str, list[str]]:
    """Return the columns of each grouped label, with patterns such as ``NR-*`` expanded.

    Raises `DataError` for a column that is not among the `known` ones.
    """
    groups: dict[str, list[str]] = {}
    for option in ("vectors", "multi_label"):
        for label, names in getattr(config, option).items():
            columns = [c for name in names for c in _matching(name, known, f"{option}.{label}")]
            groups[label] = list(dict.fromkeys(columns))
    return groups


def _matching(name: str, known: Sequence[str], place: str) -> list[str]:
    columns = [name] if name in known else fnmatch.filter(known, name)
    if not columns:
        raise DataError(
            f"data.{place}: the table has no column {name!r}{did_you_mean(name, known)}; it has: "
            f"{shortened(known)}"
        )
    return columns


def group_columns_by_split(
    config: LabelOptions, rows: Sequence[Row], indices: Mapping[str, Sequence[int]]
) -> dict[str, dict[str, Column]]:
    """Return the grouped columns of every split; `DataError` for a value of another form."""
    groups = grouped_columns(config, list(rows[0].labels))
    columns: dict[str, dict[str, Column]] = {split: {} for split in indices}
    for label, names in groups.items():
        target: Target = MultiLabelTarget(names=tuple(names))
        parse, dtype = _truth, target.dtype
        if label in config.vectors:
            target = VectorTarget(names=tuple(names), unit=config.units.get(label, ""))
            parse, dtype = _number, torch.float64  # a head centers numbers in float64
        values = [[_cell(row, name, parse) for name in names] for row in rows]
        labels = torch.tensor(values, dtype=dtype)
        for split, chosen in indices.items():
            columns[split][label] = Labels(target, labels[torch.tensor(chosen)])
    return columns


def describe_groups(groups: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return a summary of each grouped label to display."""
    return {label: f"{len(names)} columns: {shortened(names)}" for label, names in groups.items()}


def _cell(row: Row, name: str, parse: Callable[[str | None], float | None]) -> float:
    value = parse(row.labels[name])
    if value is None:
        expected = "a number" if parse is _number else "1, 0, true or false"
        raise DataError(
            f"{row.place}: {name}: expected {expected}, or an empty cell for a missing label, got "
            f"{row.labels[name]!r}"
        )
    return value


def _number(text: str | None) -> float | None:
    if text is None:
        return math.nan
    try:
        number = float(text)
    except ValueError:
        return None
    return None if math.isinf(number) else number


def _truth(text: str | None) -> float | None:
    return MISSING if text is None else TRUTHS.get(text.lower())
