"""The processes of a distributed run, and collective operations on them."""

import gc
import json
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Any

import attrs
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mtlkit.errors import RunError
from mtlkit.ops.row_shard import PATIENCE
from mtlkit.training.devices.heartbeat import Heartbeat


@attrs.frozen
class Ranks:
    """The rank of this process and the world size; a single process needs no process group.

    `heartbeat` detects lost processes of a group that mtlkit has joined.
    """

    rank: int = 0
    world: int = 1
    heartbeat: Heartbeat | None = attrs.field(default=None, eq=False, repr=False)

    @property
    def first(self) -> bool:
        """True if this process writes the files of the run."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum of `values` over the processes."""
        if self.world == 1:
            return values
        total = values.clone()
        dist.all_reduce(total)
        return total

    def gather(self, values: Tensor) -> Tensor:
        """Return the `values` of each process, (W, ...) for W processes, in the order of ranks."""
        stacked = values.new_zeros(self.world, *values.shape)
        stacked[self.rank] = values
        return self.sum(stacked)  # exact, because all but one summand are zero

    def max(self, values: Tensor) -> Tensor:
        """Return the maximum of `values` over the processes."""
        if self.world == 1:
            return values
        largest = values.clone()
        dist.all_reduce(largest, op=dist.ReduceOp.MAX)
        return largest

    def parts(self, values: Tensor) -> list[Tensor]:
        """Return the `values` (..., P) of each process, in the order of ranks; P may differ."""
        if self.world == 1:
            return [values]
        sizes = self.gather(torch.tensor(values.shape[-1], device=values.device)).tolist()
        padded = F.pad(values, (0, max(sizes) - values.shape[-1]))
        gathered = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(gathered, padded)
        return [part[..., :size] for part, size in zip(gathered, sizes, strict=True)]

    def texts(self, text: str, device: torch.device) -> list[str]:
        """Return the `text` of each process, in the order of ranks."""
        if self.world == 1:
            return [text]
        with self.joint_step():
            written = torch.tensor(list(text.encode()), dtype=torch.uint8, device=device)
            return [bytes(part.tolist()).decode() for part in self.parts(written)]

    def together(self, work: Callable[[], Any], device: torch.device) -> list[Any]:
        """Return what `work` returns on each process, JSON values, in the order of ranks.

        Raises `RunError` on all processes if `work` raises it on one, so that none waits for it.
        """
        if self.world == 1:
            return [work()]
        result, error = None, None
        try:
            result = work()
        except RunError as cause:
            error = cause
        texts = self.texts(json.dumps([result, error and str(error)]), device)
        if error is not None:
            raise error
        results, errors = zip(*map(json.loads, texts), strict=True)
        for rank, message in enumerate(errors):
            if message is not None:
                raise RunError(f"process {rank}: {message}")
        return list(results)

    def first_ones(self, value: bool, device: torch.device) -> bool:
        """Return the `value` of the first process, whose view of the files counts."""
        return self.texts(str(value), device)[0] == str(True)

    def explaining(self) -> AbstractContextManager[None]:
        """Raise the end of another process in place of the `RuntimeError` that it causes here."""
        return nullcontext() if self.heartbeat is None else self.heartbeat.explaining()

    def joint_step(self) -> AbstractContextManager[None]:
        """Mark the body, for the heartbeat, as an update or a wait for other processes."""
        return nullcontext() if self.heartbeat is None else self.heartbeat.joint_step()

    def wait(self) -> None:
        """Wait until every process calls this; raise `RunError` if another one failed."""
        if self.world == 1:
            return
        try:
            with self.explaining(), self.joint_step():
                dist.barrier()
        except RuntimeError as cause:
            raise RunError(
                f"process {self.rank}: another process of this run failed; see its error"
            ) from cause


def current_ranks() -> Ranks:
    """Return the ranks of the default process group; one rank without a group."""
    if dist.is_available() and dist.is_initialized():
        return Ranks(dist.get_rank(), dist.get_world_size())
    return Ranks()


def unreduced(model: nn.Module | None) -> AbstractContextManager[None]:
    """Return a context in which DDP, if it wraps `model`, reduces no gradients."""
    return model.no_sync() if isinstance(model, DistributedDataParallel) else nullcontext()


@cache
def _torchrun_store() -> tuple[Any, int, int]:
    """Return torchrun's key-value store, the rank of this process and the world size."""
    from torch.distributed.rendezvous import rendezvous  # not in every build of torch

    store, rank, world = next(rendezvous("env://"))
    return store, rank, world


@contextmanager
def process_group(device: torch.device, hang_timeout: float = math.inf) -> Iterator[Ranks]:
    """Join the process group of torchrun, or use an existing one; yield its `Ranks`.

    Without torchrun the process is alone. The backend is NCCL on CUDA and gloo on a CPU. Processes
    can join repeatedly, as in a script that fits several recipes. The addresses of a destroyed
    group remain in torchrun's store, so each group has a separate prefix in it.

    Raises `InterruptedRunError` if another process is lost, and `RunError` if it fails. A process
    whose operations wait for it all the same is ended after `SILENCE` and `GRACE`, two minutes. All
    end as interrupted if none makes progress for `hang_timeout` seconds.
    """
    if not dist.is_available() or dist.is_initialized() or not dist.is_torchelastic_launched():
        yield current_ranks()
        return
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.set_device(device)  # otherwise every process also allocates memory on GPU 0
    from torch.distributed.distributed_c10d import PrefixStore

    store, rank, world = _torchrun_store()
    group = store.add(f"mtlkit/joined by {rank}", 1)  # the same number on every rank
    # an own connection: a blocked operation of the group must not keep a beat back
    beats = PrefixStore(f"mtlkit/heartbeat {group}", store.clone())
    heartbeat = Heartbeat(beats, rank, world, hang_timeout)
    dist.init_process_group(
        "nccl" if cuda else "gloo",
        store=PrefixStore(f"mtlkit/group {group}", store),
        rank=rank,
        world_size=world,
        timeout=PATIENCE,
        device_id=device if cuda else None,
    )
    with heartbeat.beating():
        try:
            with heartbeat.telling():
                yield Ranks(rank, world, heartbeat)
        finally:
            # DDP modules reference the group, whose threads reference Python tensors; if these
            # live until the interpreter exits, the process may abort (pytorch/pytorch#179291)
            gc.collect()
            dist.destroy_process_group()
