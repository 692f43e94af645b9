"""What a backward pass may do with the tensors that were kept for it.

Autograd frees a graph after a backward pass unless it is told to retain it. On the last pass memory
may be used again; before, it must stay as it is, so that every pass finds the same. Of a traced
graph, whose tensors are not plain ones, the compiler decides.
"""

import torch
from torch import Tensor


def consumable(kept: Tensor) -> Tensor:
    """The tensor itself where this is its last use, or else a copy."""
    return kept.detach() if _is_last_use(kept) else kept.clone()


def scaled(unit: Tensor, factor: Tensor) -> Tensor:
    """unit * factor, in the memory of `unit` where this is its last use."""
    if not _is_last_use(unit):
        return unit * factor
    if unit.device.type == "cpu" and factor.item() == 1:
        return unit.detach()
    return unit.detach().mul_(factor)


def zeros_for_none(like: Tensor, *gradients: Tensor | None) -> list[Tensor]:
    """The gradients of the shape of `like`, zeros where autograd has none."""
    return [torch.zeros_like(like) if each is None else each for each in gradients]


def _is_last_use(kept: Tensor) -> bool:
    retained: bool = torch._C._autograd._get_current_graph_task_keep_graph()
    return type(kept) is Tensor and not retained
