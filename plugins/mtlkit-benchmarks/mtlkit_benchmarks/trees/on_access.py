"""Samples and labels that are read from their files when they are used."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, overload

import attrs
import torch
from torch import Tensor


@attrs.frozen(eq=False)
class OnAccess:
    """Rows by index: `read` returns the tensor of one of `items`, in several threads.

    Inputs and labels of a split may both be of this type; memory then does not grow with the data.

    >>> rows = OnAccess([3, 4], torch.tensor)
    >>> rows[torch.tensor([1, 0])].tolist()
    [4, 3]
    """

    items: Sequence[Any]
    read: Callable[[Any], Tensor]
    workers: int = 1

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: Tensor, /) -> Tensor:
        if len(index) == 0:
            one = self.read(self.items[0])
            return one.new_empty((0, *one.shape))
        items = [self.items[position] for position in index.tolist()]
        if self.workers == 1 or len(items) == 1:
            return torch.stack([self.read(item) for item in items])
        with ThreadPoolExecutor(self.workers) as pool:
            return torch.stack(list(pool.map(self.read, items)))


@attrs.frozen(eq=False)
class Numbered(Sequence[str]):
    """The ids ``PREFIX 0``, ``PREFIX 1``, ... of `size` samples, without a list of them.

    With `places` (N,) they are those of the samples with these numbers alone.

    >>> list(Numbered("train", 2)), list(Numbered("train", 9, torch.tensor([4, 7])))
    (['train 0', 'train 1'], ['train 4', 'train 7'])
    """

    prefix: str
    size: int
    places: Tensor | None = None

    def __len__(self) -> int:
        return self.size if self.places is None else len(self.places)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        return f"{self.prefix} {place if self.places is None else int(self.places[place])}"

    def __iter__(self) -> Iterator[str]:
        return map(self.__getitem__, range(len(self)))
