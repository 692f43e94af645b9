"""A split whose samples are transformed when they are read, in the same way each time."""

from collections.abc import Iterable, Mapping

import attrs
import torch
from torch import Tensor

from mtlkit.data.columns import Categorical, Column, Labels, Numeric
from mtlkit.data.dataset import Data, Split
from mtlkit.data.pipeline import Pipeline
from mtlkit.features.inputs import Batch
from mtlkit.transforms.base import Transform


@attrs.frozen(eq=False, kw_only=True)
class TransformedSplit(Split):
    """The samples of `source` after `transforms`, which draw no random numbers.

    The columns called `labels` are transformed; classes and numbers of a sample are unchanged.
    """

    source: Split
    transforms: tuple[Transform, ...]
    labels: frozenset[str]

    def subset(self, index: Tensor) -> Split:
        return transformed_split(self.source.subset(index), self.transforms, self.labels)


def transformed_data(data: Data, transforms: tuple[Transform, ...], labels: Iterable[str]) -> Data:
    """Return `data` with all splits transformed; `labels` are the columns of the tasks."""
    if not transforms:
        return data
    names = frozenset(labels)
    splits = data.splits().items()
    return data.with_splits({k: transformed_split(v, transforms, names) for k, v in splits})


def transformed_split(
    split: Split, transforms: tuple[Transform, ...], labels: frozenset[str]
) -> Split:
    """Return the samples of `split` after `transforms`."""
    changed = {
        name: column
        for name, column in split.columns.items()
        if name in labels and not isinstance(column, Categorical | Numeric)
    }
    rows = {name: column.rows for name, column in changed.items()}
    targets = {name: column.target for name, column in changed.items()}
    reader = _Reader(Pipeline(transforms, split.inputs, rows, targets))
    columns: dict[str, Column] = dict(split.columns)
    for name, column in changed.items():
        columns[name] = Labels(column.target, _Rows(reader, name))
    return TransformedSplit(
        inputs=reader,
        columns=columns,
        ids=split.ids,
        source=split,
        transforms=transforms,
        labels=labels,
    )


def source_of(split: Split) -> Split:
    """Return the samples of `split` before any transform."""
    return split.source if isinstance(split, TransformedSplit) else split


class _Reader:
    """Inputs of transformed samples, whose inputs and labels are transformed once."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self._last: tuple[Tensor, tuple[Batch, Mapping[str, Tensor]]] | None = None

    def __len__(self) -> int:
        return len(self.pipeline.inputs)

    def __getitem__(self, index: Tensor, /) -> Batch:
        return self.read(index)[0]

    def read(self, index: Tensor) -> tuple[Batch, Mapping[str, Tensor]]:
        last = self._last  # several threads read
        if last is None or not torch.equal(index, last[0]):
            self._last = last = index, self.pipeline.batch(index, lambda sample, place: 0)
        return last[1]


@attrs.frozen(eq=False)
class _Rows:
    reader: _Reader
    name: str

    def __len__(self) -> int:
        return len(self.reader)

    def __getitem__(self, index: Tensor, /) -> Tensor:
        return self.reader.read(index)[1][self.name]
