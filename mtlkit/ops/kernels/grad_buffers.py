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


class _Guard(torch.autograd.Function):
    """An input, whose gradient can be had but not differentiated."""

    @staticmethod
    def forward(ctx: Any, name: str, value: Tensor) -> Tensor:
        ctx.name = name
        ctx.save_for_backward(value)
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor]:
        if torch.is_grad_enabled():  # a graph of the backward pass is wanted
            found: Tensor = _Constant.apply(ctx.name, gradient, *ctx.saved_tensors)
            return None, found
        return None, gradient


class _Constant(torch.autograd.Function):
    """A gradient that depends on an input in a way that nobody has written down."""

    @staticmethod
    def forward(ctx: Any, name: str, gradient: Tensor, _: Tensor) -> Tensor:
        ctx.name = name
        return gradient.clone()

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> None:
        raise RuntimeError(
            f"{ctx.name} has no second derivative; the implementation 'eager' has one"
        )


def differentiable_once(name: str, value: Tensor) -> Tensor:
    """The value for an op called `name` whose gradients a second derivative would get wrong.

    Gradients that are made in the forward pass are constants in the graph of a backward pass: all
    that depends on the inputs would silently be missing. A traced graph refuses it by itself.
    """
    if torch.compiler.is_compiling() or not value.requires_grad:
        return value
    found: Tensor = _Guard.apply(name, value)
    return found


def _is_last_use(kept: Tensor) -> bool:
    retained: bool = torch._C._autograd._get_current_graph_task_keep_graph()
    return type(kept) is Tensor and not retained
