"""Rows of several sources by one index."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import attrs
import torch
from torch import Tensor

from mtlkit.data.inputs import Inputs
from mtlkit.errors import DataError
from mtlkit.features.inputs import Batch
from mtlkit.targets.rows import Rows

P = TypeVar("P", Rows, Inputs)


@attrs.frozen(eq=False)
class MissingRows:
    """Rows without a label: `count` of them, each a missing label of the shape of `like`."""

    count: int
    like: Tensor  # one row, without the dimension of samples
    missing: float

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: Tensor, /) -> Tensor:
        return self.like.new_full((len(index), *self.like.shape), self.missing)


@attrs.frozen(eq=False)
class ConcatRows:
    """The rows of all `parts`, one part after another, read on access.

    >>> rows = ConcatRows((torch.tensor([3, 4]), torch.tensor([5])))
    >>> rows[torch.tensor([2, 0])].tolist()
    [5, 3]
    """

    parts: Sequence[Rows]

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __getitem__(self, index: Tensor, /) -> Tensor:
        read = [(places, part[inner]) for places, part, inner in _by_part(self.parts, index)]
        return _ordered("labels", [values for _, values in read], [places for places, _ in read])


@attrs.frozen(eq=False)
class ConcatInputs:
    """The samples of all `parts`, one part after another, read on access."""

    parts: Sequence[Inputs]

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __getitem__(self, index: Tensor, /) -> Batch:
        read = [(places, part[inner]) for places, part, inner in _by_part(self.parts, index)]
        places = [place for place, _ in read]
        tensors = [batch for _, batch in read if isinstance(batch, Tensor)]
        if len(tensors) == len(read):
            return _ordered("inputs", tensors, places)
        named = [batch for _, batch in read if isinstance(batch, Mapping)]
        return {name: _ordered(name, [batch[name] for batch in named], places) for name in named[0]}


def _by_part(parts: Sequence[P], index: Tensor) -> list[tuple[Tensor, P, Tensor]]:
    """Return places in `index`, the part that holds these rows, and their index in the part."""
    ends = torch.tensor([len(part) for part in parts]).cumsum(0)
    numbers = torch.bucketize(index, ends, right=True)
    selected = []
    for number in sorted(set(numbers.tolist())):
        places = (numbers == number).nonzero().flatten()
        start = int(ends[number]) - len(parts[number])
        selected.append((places, parts[number], index[places] - start))
    return selected


def _ordered(name: str, values: Sequence[Tensor], places: Sequence[Tensor]) -> Tensor:
    """Return the rows of `values` at their `places`."""
    shapes = sorted({tuple(part.shape[1:]) for part in values})
    if len(shapes) > 1:
        raise DataError(
            f"data.sources: {name}: got samples of shape {shapes[0]} and {shapes[1]} in one batch, "
            f"expected one; pad or resize the samples of all sources to one size"
        )
    return torch.cat(list(values))[torch.cat(list(places)).argsort()]
