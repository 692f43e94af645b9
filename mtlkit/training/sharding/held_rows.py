"""The rows of tensors that this process holds, to write to and read from checkpoints.

Heads divide matrices by a `RowShard`, and FSDP2 divides parameters by rows, too.
"""

from collections.abc import Mapping
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from mtlkit.ops.row_shard import RowShard
from mtlkit.training.sharding.whole_model import is_fsdp_shard, local_part, row_shards
from mtlkit.training.tensor_files import StoredTensors


@attrs.frozen(eq=False)
class HeldRows:
    """Rows from `start` on of a tensor that is divided among processes."""

    rows: Tensor
    start: int


Held = Tensor | HeldRows
"""A whole tensor, or the rows of a divided one that this process holds."""


def held_rows(value: Tensor, shard: RowShard | None) -> Held:
    """Return what this process holds of `value`, which `shard` or FSDP2 may divide."""
    if shard is not None:
        return HeldRows(value, shard.start)
    return HeldRows(local_part(value), _span(value)[0]) if is_fsdp_shard(value) else value


def held_state(module: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Held]:
    """Return what this process holds of the `state` of `module`."""
    shards = row_shards(module)
    return {name: held_rows(value, shards.get(name)) for name, value in state.items()}


def stored_part(stored: StoredTensors, name: str, like: Tensor, shard: RowShard | None) -> Tensor:
    """Return the part of a stored tensor for this process, divided as the parameter `like` is."""
    shape = stored.shape(name)
    if shard is not None and shape[:1] == (shard.total,):
        return stored.rows(name, shard.start, shard.stop)
    if not is_fsdp_shard(like) or shape != like.shape:
        return stored[name]
    rows = stored.rows(name, *_span(like))
    divided = torch.empty_like(like, dtype=rows.dtype)
    local_part(divided).copy_(rows)
    return divided


def load_held_state(module: nn.Module, stored: StoredTensors) -> None:
    """Load the parts for this process of a `stored` state into `module`."""
    current, shards = module.state_dict(), row_shards(module)
    module.load_state_dict(
        {
            name: stored_part(stored, name, current[name], shards.get(name))
            if name in current
            else stored[name]
            for name in stored
        }
    )


def _span(tensor: Tensor) -> tuple[int, int]:
    """Return the first row that this process holds of a tensor of FSDP2, and the end of its rows.

    FSDP2 divides as `torch.chunk`: all parts but the last ones have the same number of rows.
    """
    divided: Any = tensor
    mesh = divided.device_mesh
    size = -(-len(tensor) // mesh.size())
    start = min(mesh.get_local_rank() * size, len(tensor))
    return start, min(start + size, len(tensor))
