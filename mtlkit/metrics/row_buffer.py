"""Rows of many batches in one block of memory."""

import torch
from torch import Tensor


class RowBuffer:
    """Collects the rows (N, ...) of batches of one type and width, on the CPU.

    The block grows by parts. A list of the batches' tensors would take more: each small tensor that
    is kept between large ones that are freed leaves a gap in the heap, of 1 KB a row in a network
    for tables.

    >>> buffer = RowBuffer()
    >>> buffer.append(torch.tensor([1.0, 2.0]))
    >>> buffer.append(torch.tensor([3.0]))
    >>> buffer.rows()
    tensor([1., 2., 3.])
    """

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._like: Tensor | None = None  # no rows, with the type and the width of all

    def append(self, rows: Tensor) -> None:
        """Add a copy of rows (N, ...); raise ValueError for another type or width than before."""
        if self._like is None:
            self._like = rows[:0].cpu().clone()
        if (rows.dtype, rows.shape[1:]) != (self._like.dtype, self._like.shape[1:]):
            raise ValueError(
                f"rows: got {rows.dtype} of shape {tuple(rows.shape)}, expected {self._like.dtype} "
                f"of (N, {', '.join(map(str, self._like.shape[1:]))})"
            )
        self._bytes += rows.cpu().contiguous().flatten().view(torch.uint8).numpy().data

    def extend(self, other: "RowBuffer") -> None:
        """Add the rows of another buffer."""
        self._like = self._like if self._like is not None else other._like
        self._bytes += other._bytes

    def __len__(self) -> int:
        return 0 if self._like is None else len(self.rows())

    def rows(self) -> Tensor:
        """Return all rows, which share the buffer's memory: drop them before the next `append`.

        Raises ValueError if nothing was added.
        """
        if self._like is None:
            raise ValueError("rows: got no batch, expected at least one `append`")
        if not self._bytes:
            return self._like
        values = torch.frombuffer(self._bytes, dtype=self._like.dtype)
        return values.view(-1, *self._like.shape[1:])
