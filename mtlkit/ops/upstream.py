"""What a backward pass may do with the tensors that were kept for it.

Autograd frees a graph after a backward pass unless it is told to retain it. On the last pass memory
may be used again; before, it must stay as it is, so that every pass finds the same. Of a traced
graph, whose tensors are not plain ones, the compiler decides.
"""

from typing import Any

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


def refuse_second_derivative(name: str, *gradients: Tensor | None) -> None:
    """`RuntimeError` where the gradients of a backward pass are to be differentiated themselves.

    What is made of them would keep the part of the second derivative that is in `gradients`, and
    silently lack the rest.
    """
    if torch.is_grad_enabled() and any(g is not None and g.requires_grad for g in gradients):
        raise RuntimeError(
            f"{name} can be differentiated once, and a second derivative is asked for; the "
            f"implementation 'eager' has one"
        )


class _Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, name: str) -> Tensor:
        ctx.name = name
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        refuse_second_derivative(ctx.name, *gradients)
        return gradients[0], None


def differentiable_once(value: Tensor, name: str) -> Tensor:
    """The value of somebody else's op, whose second derivative is refused by this name.

    A traced graph refuses it by itself.
    """
    if torch.compiler.is_compiling():
        return value
    found: Tensor = _Once.apply(value, name)
    return found


def _is_last_use(kept: Tensor) -> bool:
    retained: bool = torch._C._autograd._get_current_graph_task_keep_graph()
    return type(kept) is Tensor and not retained
