"""Inputs by index: several tensors by name, or a selection of the samples of others."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import attrs
from torch import Tensor

from mtlkit.errors import DataError
from mtlkit.features.inputs import Batch


class Inputs(Protocol):
    """Samples by index: a tensor (N, ...), or an object that returns a batch of them.

    An object may return several tensors by name. It collates samples of different sizes itself, for
    instance by padding them and adding a mask.
    """

    def __len__(self) -> int:
        """Return the number of samples, N."""

    def __getitem__(self, index: Tensor, /) -> Batch:
        """Return the samples at `index` (B,): a tensor (B, ...), or several by name."""


@attrs.frozen(eq=False)
class NamedInputs:
    """Several tensors (N, ...) by name, such as token ids and their mask.

    >>> import torch
    >>> inputs = NamedInputs({"ids": torch.tensor([[3, 1], [2, 0]])})
    >>> inputs[torch.tensor([1])]
    {'ids': tensor([[2, 0]])}
    """

    tensors: Mapping[str, Tensor]

    def __attrs_post_init__(self) -> None:
        if not self.tensors:
            raise DataError("inputs: got none, expected one tensor or more by name")
        lengths = {name: len(values) for name, values in self.tensors.items()}
        if len(set(lengths.values())) > 1:
            raise DataError(f"inputs: got different numbers of samples: {lengths}")

    def __len__(self) -> int:
        return len(next(iter(self.tensors.values())))

    def __getitem__(self, index: Tensor, /) -> Mapping[str, Tensor]:
        return {name: values[index] for name, values in self.tensors.items()}


@attrs.frozen(eq=False)
class Selected:
    """The samples of other `Inputs` or `Rows` at `index` (M,), read when they are used."""

    rows: Any
    index: Tensor

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, index: Tensor, /) -> Any:
        return self.rows[self.index[index]]


def selected(rows: Any, index: Tensor) -> Any:
    """Return the samples of `rows` at `index` (M,): a copy of those of a tensor."""
    return rows[index] if isinstance(rows, Tensor) else Selected(rows, index)


def join_batches(
    join: Callable[[str, Sequence[Tensor]], Tensor], batches: Sequence[Batch]
) -> Batch:
    """Return the tensor that `join` makes of those of all `batches`, or one for each name."""
    tensors = [batch for batch in batches if isinstance(batch, Tensor)]
    if len(tensors) == len(batches):
        return join("inputs", tensors)
    named = [batch for batch in batches if isinstance(batch, Mapping)]
    return {name: join(name, [batch[name] for batch in named]) for name in named[0]}


def in_memory(inputs: Inputs) -> bool:
    """Return whether `inputs` are tensors in memory, or a selection of their samples.

    >>> import torch
    >>> in_memory(Selected(torch.zeros(3, 2), torch.tensor([0])))
    True
    """
    while isinstance(inputs, Selected):
        inputs = inputs.rows
    return isinstance(inputs, Tensor | NamedInputs)
