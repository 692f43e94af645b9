"""Labels of many samples by index, in memory or read on access."""

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

CHUNK = 64
"""Number of rows that are read at once from a column that is not in memory."""


class Rows(Protocol):
    """Labels by index: a tensor (N, ...), or an object that reads rows on access."""

    def __len__(self) -> int:
        """Return the number of samples, N."""

    def __getitem__(self, index: Tensor, /) -> Tensor:
        """Return the labels at `index` (B,) as (B, ...)."""


def chunks(rows: Rows) -> Iterator[Tensor]:
    """Yield all labels of `rows`: a tensor whole, other rows in chunks.

    >>> [chunk.tolist() for chunk in chunks(torch.tensor([3, 4]))]
    [[3, 4]]
    """
    if isinstance(rows, Tensor):
        yield rows
        return
    for index in torch.split(torch.arange(len(rows)), CHUNK):
        yield rows[index]
