"""Columns of labels: their type, and rows by index, in memory or read on access."""

import heapq
import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Self

import attrs
import torch
from torch import Tensor

from mtlkit.data.inputs import selected
from mtlkit.errors import DataError
from mtlkit.targets.base import Target
from mtlkit.targets.class_label import ClassTarget
from mtlkit.targets.number import NumberTarget
from mtlkit.targets.rows import Rows, chunks
from mtlkit.task_types import MISSING


class Column(ABC):
    """Labels of the samples of a split: a type of targets, and rows by index."""

    @property
    @abstractmethod
    def target(self) -> Target:
        """Type of the labels."""

    @property
    @abstractmethod
    def rows(self) -> Rows:
        """The labels (N, ...), in memory or read on access."""

    @abstractmethod
    def subset(self, index: Tensor) -> Self:
        """Return the column of the samples at `index` (M,)."""

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Tensor, /) -> Tensor:
        return self.rows[index]

    def present(self) -> Tensor:
        """Return the mask (N,) of samples with at least one element that is present."""
        masks = [self.target.weights(labels) > 0 for labels in chunks(self.rows)]
        return torch.cat(masks) if masks else torch.zeros(0, dtype=torch.bool)


@attrs.frozen(eq=False)
class Labels(Column):
    """A column of labels of any type; a split checks those in memory.

    >>> from mtlkit.data import VectorTarget
    >>> column = Labels(VectorTarget(names=("x", "y")), torch.tensor([[0.5, torch.nan]]))
    >>> column.present().tolist()
    [True]
    """

    target: Target
    rows: Rows

    def subset(self, index: Tensor) -> "Labels":
        return Labels(self.target, selected(self.rows, index))


@attrs.frozen(eq=False)
class Categorical(Column):
    """A column of classes: codes (N,) into `names`, -1 for a missing label.

    >>> Categorical.of(["left", "right", "left"]).codes.tolist()
    [0, 1, 0]
    """

    codes: Tensor
    names: tuple[str, ...]

    def __attrs_post_init__(self) -> None:
        if self.codes.dtype != torch.int64:
            raise DataError(f"expected codes of classes in int64, got {self.codes.dtype}")
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

    @property
    def target(self) -> ClassTarget:
        return ClassTarget(names=self.names)

    @property
    def rows(self) -> Tensor:
        return self.codes

    def subset(self, index: Tensor) -> "Categorical":
        return Categorical(self.codes[index], self.names)

    def values(self) -> list[str | None]:
        """Return the labels by name, None for a missing one."""
        return [self.names[code] if code >= 0 else None for code in self.codes.tolist()]


def natural_order(names: Iterable[str | None], most: int | None = None) -> list[str]:
    """Return the names without None, or the first `most` of them, numbers first and by value.

    >>> natural_order({"b", "15", "-90", None}), natural_order({"b", "15", "-90"}, most=1)
    (['-90', '15', 'b'], ['-90'])
    """
    present = (name for name in names if name is not None)
    if most is not None:
        return heapq.nsmallest(most, present, key=_natural)
    return sorted(present, key=_natural)


def _natural(name: str) -> tuple[int, float, str]:
    """Return a sort key: numbers first, by value (-90 before 15), then other names."""
    if name[:1].isalpha():  # no finite number, without the cost of an exception
        return 1, 0.0, name
    try:
        number = float(name)
    except ValueError:
        number = math.nan
    return (0, number, name) if math.isfinite(number) else (1, 0.0, name)  # NaN has no order


@attrs.frozen(eq=False)
class Numeric(Column):
    """A column of numbers: values (N,) in float64 or float32, NaN for a missing one.

    `unit` is shown with predictions, such as "mm".
    """

    values: Tensor
    unit: str = ""

    @property
    def target(self) -> NumberTarget:
        return NumberTarget(unit=self.unit)

    @property
    def rows(self) -> Tensor:
        return self.values

    def subset(self, index: Tensor) -> "Numeric":
        return Numeric(self.values[index], self.unit)
