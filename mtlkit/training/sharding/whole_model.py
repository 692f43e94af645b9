"""Whole tensors from the parts that processes hold, and parts of whole ones.

A part is the rows of a `RowShard`, or a shard of a backbone under FSDP2. Evaluation and the saved
model need whole tensors. These exist on the first process only, inside the functions of this
module, which every process must call.
"""

import copy
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mtlkit.heads.base import HeadModule
from mtlkit.ops.row_shard import RowShard

_CPU = torch.device("cpu")


def row_shards(module: nn.Module) -> dict[str, RowShard]:
    """Return the shards of the heads in `module` that are divided among processes, by name."""
    return {
        f"{prefix}.{name}" if prefix else name: shard
        for prefix, head in module.named_modules()
        if isinstance(head, HeadModule)
        for name, shard in head.row_shards().items()
        if shard.world > 1
    }


def parameter_shards(module: nn.Module) -> dict[Tensor, RowShard]:
    """Return `row_shards`, by parameter."""
    return {module.get_parameter(name): shard for name, shard in row_shards(module).items()}


def is_fsdp_shard(tensor: object) -> bool:
    """Return True for a tensor that FSDP2 divides among processes."""
    # importing it takes 2 s, which only a run that shards its backbone needs
    module: Any = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)


def local_part(tensor: Tensor) -> Tensor:
    """Return the part of `tensor` that this process holds."""
    part: Tensor = tensor.to_local() if is_fsdp_shard(tensor) else tensor  # type: ignore[attr-defined]
    return part


def whole_state(module: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the `state` of `module`, on the first process with whole tensors."""
    shards = row_shards(module)
    return {name: whole_tensor(value, shards.get(name)) for name, value in state.items()}


@contextmanager
def whole_model(model: nn.Module, plain: Mapping[str, nn.Module]) -> Iterator[None]:
    """Give the first process the whole parameters of `model`, on its device, while it evaluates.

    `plain` are the modules without tensors that `shard_backbone` returned, by name. They take the
    places of the divided ones, whose hooks would wait for the other processes.
    """
    divided = {name: model.get_submodule(name) for name in plain}
    for name, module in divided.items():
        whole = _with_tensors(plain[name], module)
        if whole is not None:
            model.set_submodule(name, whole)
    shards, kept = row_shards(model), {}
    for name, shard in shards.items():
        parameter = model.get_parameter(name)
        kept[name] = parameter.data
        parameter.data = shard.gather(parameter.data, parameter.device)
    try:
        yield
    finally:
        for name, rows in kept.items():
            model.get_parameter(name).data = rows
        for name, module in divided.items():
            model.set_submodule(name, module)


def _with_tensors(plain: nn.Module, divided: nn.Module) -> nn.Module | None:
    """Return `plain` with the whole tensors of `divided`; None on all but the first process."""
    state = whole_state(divided, divided.state_dict())
    if dist.get_rank() > 0:
        return None
    buffers = dict(divided.named_buffers())
    device = local_part(next(divided.parameters())).device
    whole = copy.deepcopy(plain).to_empty(device=device).train(divided.training)
    with torch.no_grad():
        for name, tensor in (*whole.named_parameters(), *whole.named_buffers()):
            tensor.copy_(buffers[name] if name in buffers else state[name])
    return whole


def whole_tensor(value: Tensor, shard: RowShard | None) -> Tensor:
    """Return the whole of `value` on the CPU of the first process, and the part on the others."""
    if shard is not None:
        return shard.gather(value, _CPU)
    if not is_fsdp_shard(value):
        return value
    divided: Any = value
    whole: Tensor = divided.full_tensor()
    return whole.cpu() if dist.get_rank() == 0 else value
