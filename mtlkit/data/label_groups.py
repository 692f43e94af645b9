"""Labels of rows, and columns grouped under one label: vectors, and several binary labels."""

import fnmatch
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import attrs
import torch

from mtlkit.data.columns import Column, Labels
from mtlkit.data.dataset import Split
from mtlkit.data.label_columns import LabelOptions, check_labels, columns_by_split, describe
from mtlkit.data.listing.image_listing import Row
from mtlkit.errors import DataError, did_you_mean, shortened
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


@attrs.frozen(eq=False)
class RowLabels:
    """Labels of rows as text: those of `rows`, and the `single` ones that no group includes."""

    config: LabelOptions
    rows: Sequence[Row]
    single: Sequence[Row]
    groups: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, config: LabelOptions, rows: Sequence[Row], others: Sequence[str] = ()) -> Self:
        """Return all labels of `rows`; `others` are names that are taken.

        Raises `DataError` for options that name no label, and labels that the options forbid.
        """
        groups = grouped_columns(config, list(rows[0].labels) if rows else [])
        grouped = {name for names in groups.values() for name in names}
        single = [
            attrs.evolve(row, labels={n: v for n, v in row.labels.items() if n not in grouped})
            for row in rows
        ]
        check_labels(config, single)
        names = [*(single[0].labels if single else ()), *groups, *others]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise DataError(f"data: two labels are named {twice[0]!r}; rename one of them")
        return cls(config, rows, single, groups)

    def at(self, index: Sequence[int]) -> Self:
        """Return the labels of the rows at `index`."""
        rows, single = ([rows[i] for i in index] for rows in (self.rows, self.single))
        return attrs.evolve(self, rows=rows, single=single)

    def columns(self, indices: Mapping[str, Sequence[int]]) -> dict[str, dict[str, Column]]:
        """Return the columns of every split; `DataError` for a grouped value of another form."""
        columns = columns_by_split(self.config, self.single, indices)
        for label, names in self.groups.items():
            target: Target = MultiLabelTarget(names=tuple(names))
            parse, dtype = _truth, target.dtype
            if label in self.config.vectors:
                target = VectorTarget(names=tuple(names), unit=self.config.units.get(label, ""))
                parse, dtype = _number, torch.float64  # a head centers numbers in float64
            values = [[_cell(row, name, parse) for name in names] for row in self.rows]
            labels = torch.tensor(values, dtype=dtype)
            for split, chosen in indices.items():
                columns[split][label] = Labels(target, labels[torch.tensor(chosen)])
        return columns

    def summary(self, splits: Mapping[str, Split], what: str = "images") -> dict[str, str]:
        """Return the sizes of `splits` and facts about each label to display."""
        return {
            "splits": ", ".join(f"{len(split)} {name}" for name, split in splits.items()),
            **describe(self.config, self.single, what),
            **{k: f"{len(names)} columns: {shortened(names)}" for k, names in self.groups.items()},
        }


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
