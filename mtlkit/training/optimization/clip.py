"""Clipping of the gradient of an update by its norm over all parameters of all processes."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from mtlkit.ops.row_shard import RowShard
from mtlkit.training.devices.ranks import Ranks
from mtlkit.training.sharding.whole_model import is_fsdp_shard, local_part


def clip_gradients(
    parameters: Iterable[nn.Parameter],
    largest: float,
    shards: Mapping[Tensor, RowShard],
    ranks: Ranks,
) -> Tensor:
    """Scale all gradients so that their norm is at most `largest`; return the norm before.

    A replicated parameter counts once. Of one that is divided among processes (in `shards`, or by
    FSDP2), each process adds the part that it holds.

    >>> weight = nn.Parameter(torch.zeros(2))
    >>> weight.grad = torch.tensor([3.0, 4.0])
    >>> clip_gradients([weight], 1.0, {}, Ranks())
    tensor(5.)
    >>> [round(value, 2) for value in weight.grad.tolist()]
    [0.6, 0.8]
    """
    replicated: list[Tensor] = []
    divided: list[Tensor] = []
    for parameter in parameters:
        if parameter.grad is not None:
            inside = parameter in shards or is_fsdp_shard(parameter)
            (divided if inside else replicated).append(_values(parameter))
    norm = torch.nn.utils.get_total_norm(replicated)
    if divided:
        part = torch.nn.utils.get_total_norm(divided)
        norm = (norm.square() + ranks.sum(part.square())).sqrt()
    factor = (largest / (norm + 1e-6)).clamp_max(1.0)
    torch._foreach_mul_([*replicated, *divided], factor)
    return norm


def _values(parameter: nn.Parameter) -> Tensor:
    """Return the numbers of the gradient on this process; those of a sparse one are its rows."""
    gradient = parameter.grad
    assert gradient is not None
    if not gradient.is_sparse:
        return local_part(gradient)
    parameter.grad = gradient.coalesce()  # micro-batches share rows
    return parameter.grad._values()
