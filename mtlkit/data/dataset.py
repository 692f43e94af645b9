"""The interface of data: splits of samples with named label columns."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import attrs
import torch
from torch import Tensor

from mtlkit.data.columns import Categorical, Column
from mtlkit.errors import DataError


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
        """Return the column `name` of classes; `DataError` if it is missing or of another type."""
        column = self.column(name)
        if not isinstance(column, Categorical):
            raise DataError(
                f"the label {name!r} is {column.target.noun} {column.target.shape}; expected a "
                f"class (N,)"
            )
        return column

    def subset(self, index: Tensor) -> "Split":
        """Return the samples at `index` (M,), in memory; labels read on access remain so."""
        columns = {name: column.subset(index) for name, column in self.columns.items()}
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
