"""Samples in memory, divided at random into the splits of a data source."""

from collections.abc import Mapping, Sequence

import torch

from mtlkit.data import Categorical, Column, Data, Inputs, RandomSplit, Split, split_samples
from mtlkit.plugins import DataError


def random_splits(
    split: RandomSplit, inputs: Inputs, columns: Mapping[str, Column], ids: Sequence[str]
) -> Data:
    """Return the samples of `inputs` (N, ...) in the splits that `split` draws.

    Raises `DataError` if a split would be empty, if two samples have one id, or if the label of
    `split.groups` or `split.stratify` is not a column of classes.
    """
    if len(set(ids)) < len(ids):
        twice = next(name for number, name in enumerate(ids) if name in ids[:number])
        raise DataError(f"got two samples named {twice!r}, expected different names")
    whole = Split(inputs=inputs, columns=columns, ids=ids)
    label = split.groups or split.stratify
    values = None if label is None else _values(whole, label)
    parts = {
        name: whole.subset(torch.tensor(index))
        for name, index in split_samples(split, ids, values).items()
    }
    return Data(train=parts["train"], validation=parts.get("validation"), test=parts.get("test"))


def _values(whole: Split, label: str) -> list[str | None]:
    column: Categorical = whole.categorical(label)
    return column.values()
