"""Extra forward passes of a model: they leave its buffers, random numbers and DDP as they were."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from mtlkit.training.balancing.loop_pass import LoopPart
from mtlkit.training.devices.ranks import unreduced
from mtlkit.training.devices.recomputed import RestoredBuffers


def rehearsed(parts: Sequence[LoopPart], model: nn.Module | None) -> Iterator[LoopPart]:
    """Yield `parts`, and then restore the random numbers and the buffers of `model`.

    Buffers are the running statistics of batch norm: a rehearsal is not one more batch.
    """
    with torch.random.fork_rng(_devices()), extra(model):
        yield from parts


def drawn(parts: Sequence[LoopPart], model: nn.Module | None) -> Iterator[LoopPart]:
    """Yield the `parts` of another draw, and then restore the buffers of `model`."""
    with extra(model):
        yield from parts


@contextmanager
def extra(model: nn.Module | None) -> Iterator[None]:
    """Restore the buffers of `model` on exit; DDP around it reduces no gradients."""
    with RestoredBuffers(*([] if model is None else [model])), unreduced(model):
        yield


def _devices() -> list[int]:
    # a process without CUDA tensors must not initialize CUDA
    initialized = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return [torch.cuda.current_device()] if initialized else []
