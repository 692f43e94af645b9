"""The rows of a matrix that one process holds, and the rows of it that a step draws.

The rows are cut into `BLOCKS` consecutive blocks, and a process holds whole blocks. Random numbers
are drawn for each block from its own key, so they do not depend on the number of processes.
"""

import hashlib
import math
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import attrs
import torch
import torch.distributed as dist
from torch import Tensor

from mtlkit.errors import AssemblyError

BLOCKS = 64
"""Number of blocks of rows, and the largest number of processes."""

PATIENCE = timedelta(hours=2)
"""Timeout of collective operations: only the first process loads, validates and evaluates."""


@attrs.frozen(eq=False)
class RowShard:
    """The rows of a matrix with `total` rows that the process `rank` of `world` holds.

    `group` is the process group of the matrix; None for a process alone. `capacity` holds the
    number of samples for which messages of this group have room, equal on all processes.

    >>> shard = RowShard(1000, rank=1, world=4)
    >>> shard.start, shard.stop
    (250, 500)
    """

    total: int
    rank: int = 0
    world: int = 1
    group: Any = None
    capacity: list[int] = attrs.field(factory=lambda: [0], repr=False)

    def __deepcopy__(self, memo: dict[int, Any]) -> "RowShard":
        return self  # a process group cannot be copied

    @property
    def start(self) -> int:
        """First row of this process."""
        return self.span(self.rank)[0]

    @property
    def stop(self) -> int:
        """The row after the last of this process."""
        return self.span(self.rank)[1]

    @property
    def size(self) -> int:
        """Number of rows of this process."""
        return self.stop - self.start

    def span(self, rank: int) -> tuple[int, int]:
        """Return the first row of the process `rank`, and the row after its last."""
        first, last = rank * BLOCKS // self.world, (rank + 1) * BLOCKS // self.world
        return first * self.total // BLOCKS, last * self.total // BLOCKS

    def blocks(self) -> Iterator[tuple[int, int, int]]:
        """Yield the number, the first row and the end of each block of this process."""
        last = (self.rank + 1) * BLOCKS // self.world
        for block in range(self.rank * BLOCKS // self.world, last):
            yield block, block * self.total // BLOCKS, (block + 1) * self.total // BLOCKS

    def normal(self, width: int, std: float, key: int) -> Tensor:
        """Return the rows (R, `width`) of this process of a matrix of normal numbers."""
        rows = torch.empty(self.size, width)
        for block, start, stop in self.blocks():
            part = rows[start - self.start : stop - self.start]
            part.normal_(std=std, generator=_generator(part.device, key, block))
        return rows

    def draw(self, rate: float, present: Tensor, key: tuple[int, ...]) -> Tensor:
        """Return the rows that a step uses, ascending and counted from `start`.

        They are the rows `present` (M,) and others at random, together the fraction `rate` of each
        block, rounded up; more if more are present. `key` selects the random numbers.
        """
        chance = torch.empty(self.size, dtype=torch.float64, device=present.device)
        for block, start, stop in self.blocks():
            part = chance[start - self.start : stop - self.start]
            part.uniform_(generator=_generator(present.device, *key, block))
        chance[present] = 2.0
        drawn = torch.empty_like(chance, dtype=torch.bool)
        for _, start, stop in self.blocks():
            inside = slice(start - self.start, stop - self.start)
            omitted = stop - start - math.ceil(rate * (stop - start))
            least = chance[inside].kthvalue(omitted + 1).values
            torch.ge(chance[inside], least, out=drawn[inside])
        return drawn.nonzero().squeeze(1)

    def own_rows(self, whole: Tensor) -> Tensor:
        """Return this process's rows of a `whole` tensor (total, ...)."""
        return whole[self.start : self.stop]

    def gather(self, rows: Tensor, device: torch.device) -> Tensor:
        """Return the rows of all processes on `device` of the first one; `rows` on the others.

        Every process must call this.
        """
        if self.world == 1:
            return rows.to(device)
        if self.rank > 0:
            dist.send(rows.contiguous(), group=self.group, group_dst=0)
            return rows
        whole = rows.new_empty(self.total, *rows.shape[1:], device=device)
        whole[: len(rows)] = rows
        for rank in range(1, self.world):
            start, stop = self.span(rank)
            part = rows.new_empty(stop - start, *rows.shape[1:])
            dist.recv(part, group=self.group, group_src=rank)
            whole[start:stop] = part
        return whole


def shard_rows(total: int) -> RowShard:
    """Return this process's shard of `total` rows, divided among the default process group.

    Every process must call this in the same order. Raises `AssemblyError` for fewer rows than
    blocks, or more processes.
    """
    if total < BLOCKS:
        raise AssemblyError(
            f"shard: got {total} classes, expected {BLOCKS} or more, one for each block of rows; "
            f"use `shard: false`"
        )
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return RowShard(total)
    rank, world = dist.get_rank(), dist.get_world_size()
    if world > BLOCKS:
        raise AssemblyError(
            f"shard: got {world} processes, expected at most {BLOCKS}; use fewer, or `shard: false`"
        )
    # a separate group, so that these operations cannot interleave with the buckets of DDP
    return RowShard(total, rank, world, dist.new_group(timeout=PATIENCE))


def _generator(device: torch.device, *key: int) -> torch.Generator:
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest, "little") >> 1)
