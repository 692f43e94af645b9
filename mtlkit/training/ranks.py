"""The processes that train together, and what they tell each other."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import Any

import attrs
import torch
import torch.distributed as dist
from torch import Tensor

from mtlkit.errors import RunError

PATIENCE = timedelta(hours=2)
"""How long a process waits for the others: the first one loads, validates and evaluates alone."""


@attrs.frozen
class Ranks:
    """Which of how many processes this one is; one alone needs no process group."""

    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes the run's files."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """The sum of `values` over the processes."""
        if self.world == 1:
            return values
        total = values.clone()
        dist.all_reduce(total)
        return total

    def max(self, values: Tensor) -> Tensor:
        """The largest of `values` over the processes."""
        if self.world == 1:
            return values
        largest = values.clone()
        dist.all_reduce(largest, op=dist.ReduceOp.MAX)
        return largest

    def texts(self, own: str, device: torch.device) -> list[str]:
        """The text that each process gives, in the order of ranks."""
        if self.world == 1:
            return [own]
        written = torch.tensor(list(own.encode()), dtype=torch.uint8, device=device)
        sizes = torch.zeros(self.world, dtype=torch.int64, device=device)
        sizes[self.rank] = len(written)
        lengths: list[int] = self.sum(sizes).tolist()
        padded = written.new_zeros(max(lengths))
        padded[: len(written)] = written
        found = [torch.empty_like(padded) for _ in lengths]
        dist.all_gather(found, padded)
        return [
            bytes(part[:length].tolist()).decode()
            for part, length in zip(found, lengths, strict=True)
        ]

    def wait(self) -> None:
        """Return when every process has come this far; raise `RunError` if another one failed."""
        if self.world == 1:
            return
        try:
            dist.barrier()
        except RuntimeError as cause:
            raise RunError(
                f"process {self.rank}: another process of this run failed; see its error"
            ) from cause


@cache
def _meeting_place() -> tuple[Any, int, int]:
    """Torchrun's store, by which processes find each other; the rank of this one of how many."""
    from torch.distributed.rendezvous import rendezvous  # not in every build of torch

    store, rank, world = next(rendezvous("env://"))
    return store, rank, world


@contextmanager
def joined(device: torch.device) -> Iterator[Ranks]:
    """The processes that torchrun started with this one, or those of a group that exists already.

    A process that torchrun did not start is alone. The backend is NCCL on CUDA and gloo on a CPU.
    Processes may join again and again, as a script does that fits several recipes. In torchrun's
    store the addresses of a group outlive it, and the next one would call on them: so each group
    has a part of the store to itself.
    """
    if dist.is_available() and dist.is_initialized():
        yield Ranks(dist.get_rank(), dist.get_world_size())
    elif dist.is_available() and dist.is_torchelastic_launched():
        cuda = device.type == "cuda"
        if cuda:
            torch.cuda.set_device(device)  # or every process would also hold memory on the first
        from torch.distributed.distributed_c10d import PrefixStore

        store, rank, world = _meeting_place()
        place = store.add(f"mtlkit/joined by {rank}", 1)  # the same on every rank
        dist.init_process_group(
            "nccl" if cuda else "gloo",
            store=PrefixStore(f"mtlkit/group {place}", store),
            rank=rank,
            world_size=world,
            timeout=PATIENCE,
            device_id=device if cuda else None,
        )
        try:
            yield Ranks(rank, world)
        finally:
            # DDP modules hold the group, and its threads hold tensors of Python's; should these
            # live until the interpreter ends, the process may abort there (pytorch/pytorch#179291)
            gc.collect()
            dist.destroy_process_group()
    else:
        yield Ranks()
