"""The interface of data: splits of samples with named label columns.

A missing label is -1 in a categorical column and NaN in a numeric one, nowhere else.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import attrs
import torch
from torch import Tensor

from mtlkit.errors import DataError
from mtlkit.task_types import MISSING


@attrs.frozen(eq=False)
class Categorical:
    """A column of classes: codes (N,) into `names`, -1 for a missing label.

    >>> Categorical.of(["left", "right", "left"]).codes.tolist()
    [0, 1, 0]
    """

    codes: Tensor
    names: tuple[str, ...]

    def __attrs_post_init__(self) -> None:
        if self.codes.dtype != torch.int64:
            raise DataError(f"expected codes of classes in int64, found {self.codes.dtype}")
        if len(set(self.names)) != len(self.names):
            twice = next(name for name, count in Counter(self.names).items() if count > 1)
            raise DataError(f"expected different names of classes, got {twice!r} twice")
        unknown = self.codes[(self.codes < MISSING) | (self.codes >= len(self.names))]
        if len(unknown):
            raise DataError(
                f"the code {int(unknown[0])} names none of {len(self.names)} classes; expected "
                f"0 to {len(self.names) - 1}, or {MISSING} for a missing label"
            )

    @classmethod
    def of(cls, values: Sequence[str | None], names: Sequence[str] | None = None) -> "Categorical":
        """Encode `values`, None being a missing label; `names` default to the sorted values."""
        if names is None:
            names = natural_order(set(values))
        code_of = {name: code for code, name in enumerate(names)}
        for value in values:
            if value is not None and value not in code_of:
                shown = ", ".join(map(repr, names[:10])) + (", ..." if len(names) > 10 else "")
                raise DataError(f"the label {value!r} is outside the vocabulary: {shown}")
        codes = [MISSING if value is None else code_of[value] for value in values]
        return cls(torch.tensor(codes, dtype=torch.int64), tuple(names))

    def __len__(self) -> int:
        return len(self.codes)

    def present(self) -> Tensor:
        """Return the mask (N,) of labels that are present."""
        return self.codes != MISSING

    def values(self) -> list[str | None]:
        """Return the labels by name, None for a missing one."""
        return [self.names[code] if code >= 0 else None for code in self.codes.tolist()]


def natural_order(names: Iterable[str | None]) -> list[str]:
    """Return the names without None, numbers first and by value.

    >>> natural_order({"b", "15", "-90", None})
    ['-90', '15', 'b']
    """
    return sorted((name for name in names if name is not None), key=_natural)


def _natural(name: str) -> tuple[int, float, str]:
    """Return a sort key: numbers first, by value (-90 before 15), then other names."""
    try:
        number = float(name)
    except ValueError:
        number = math.nan
    return (0, number, name) if math.isfinite(number) else (1, 0.0, name)  # NaN has no order


@attrs.frozen(eq=False)
class Numeric:
    """A column of numbers: values (N,) in float64 or float32, NaN for a missing one."""

    values: Tensor

    def __len__(self) -> int:
        return len(self.values)

    def present(self) -> Tensor:
        """Return the mask (N,) of numbers that are present."""
        return ~self.values.isnan()


Column = Categorical | Numeric


class Inputs(Protocol):
    """Samples by index: a tensor (N, ...), or an object that gathers rows the same way."""

    def __len__(self) -> int:
        """Return the number of samples, N."""

    def __getitem__(self, index: Tensor, /) -> Tensor:
        """Return the samples at `index` (B,) as (B, ...): uint8 images or float32 features."""


@attrs.frozen(eq=False, kw_only=True)
class Split:
    """Samples with their labels: inputs (N, ...), named columns of length N, and ids."""

    inputs: Inputs
    columns: Mapping[str, Column]
    ids: Sequence[str]

    def __attrs_post_init__(self) -> None:
        for name, column in self.columns.items():
            if len(column) != len(self.inputs):
                raise DataError(
                    f"the column {name!r} has {len(column)} labels for {len(self.inputs)} samples"
                )
        if len(self.ids) != len(self.inputs):
            raise DataError(f"got {len(self.ids)} ids for {len(self.inputs)} samples")

    def __len__(self) -> int:
        return len(self.inputs)

    def column(self, name: str) -> Column:
        """Return the column `name`; `DataError` lists the columns if there is none."""
        if name not in self.columns:
            raise DataError(
                f"the data has no label {name!r}; it has: {', '.join(sorted(self.columns))}"
            )
        return self.columns[name]

    def categorical(self, name: str) -> Categorical:
        """Return the categorical column `name`; `DataError` if it is missing or numeric."""
        column = self.column(name)
        if not isinstance(column, Categorical):
            raise DataError(f"the label {name!r} is a number; expected classes")
        return column

    def subset(self, index: Tensor) -> "Split":
        """Return the samples at `index` (M,), copied into memory."""
        columns: dict[str, Column] = {}
        for name, column in self.columns.items():
            if isinstance(column, Categorical):
                columns[name] = Categorical(column.codes[index], column.names)
            else:
                columns[name] = Numeric(column.values[index])
        ids = [self.ids[i] for i in index.tolist()]
        return Split(inputs=self.inputs[index], columns=columns, ids=ids)


@attrs.frozen(eq=False, kw_only=True)
class Data:
    """The splits of a data source and the normalization of their inputs.

    `open_labels` are labels whose values in `test` are unseen in training by design, such as the
    subjects of a recognition protocol. In `test`, a value outside the training vocabulary of such a
    label is treated as missing; for all other labels it is an error. Raw inputs are normalized to
    (input - `mean`) / `std`; the default suits 8-bit images, (x - 127.5) / 128.
    """

    train: Split
    validation: Split | None = None
    test: Split | None = None
    open_labels: frozenset[str] = frozenset()
    mean: float = 127.5
    std: float = 128.0
    summary: Mapping[str, str] = attrs.field(factory=dict)  # facts to display: 'subjects': '240'

    def splits(self) -> dict[str, Split]:
        """Return the splits that exist, by name."""
        splits = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: split for name, split in splits.items() if split is not None}

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one input, such as (C, H, W)."""
        return tuple(self.train.inputs[torch.tensor([0])].shape[1:])
