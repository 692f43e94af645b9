"""Reuse of the tensors that were saved for a backward pass.

Autograd frees a graph after a backward pass unless `retain_graph` is set. The last pass may reuse
the memory; earlier passes must not change it, so that every pass reads the same values. In a traced
graph, whose tensors are not plain ones, the compiler decides.
"""

from typing import Any

import torch
from torch import Tensor


def consumable(kept: Tensor) -> Tensor:
    """Return the tensor itself if this is its last use, or else a copy."""
    return kept.detach() if _is_last_use(kept) else kept.clone()


def scaled(unit: Tensor, factor: Tensor) -> Tensor:
    """Return unit * factor, in the memory of `unit` if this is its last use."""
    if not _is_last_use(unit):
        return unit * factor
    if unit.device.type == "cpu" and factor.item() == 1:
        return unit.detach()
    return unit.detach().mul_(factor)


class _Guard(torch.autograd.Function):
    """An input whose gradient can be computed but not differentiated."""

    @staticmethod
    def forward(ctx: Any, name: str, value: Tensor) -> Tensor:
        ctx.name = name
        ctx.save_for_backward(value)
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor]:
        if torch.is_grad_enabled():  # a graph of the backward pass is requested
            constant: Tensor = _Constant.apply(ctx.name, gradient, *ctx.saved_tensors)
            return None, constant
        return None, gradient


class _Constant(torch.autograd.Function):
    """A gradient that depends on an input, without an implemented derivative."""

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
    """Return the value such that a second derivative of the op called `name` raises an error.

    Gradients computed in the forward pass are constants in the graph of a backward pass: second
    derivatives would silently lack every term that depends on the inputs. A traced graph refuses
    second derivatives itself.
    """
    if torch.compiler.is_compiling() or not value.requires_grad:
        return value
    guarded: Tensor = _Guard.apply(name, value)
    return guarded


def _is_last_use(kept: Tensor) -> bool:
    retained: bool = torch._C._autograd._get_current_graph_task_keep_graph()
    return type(kept) is Tensor and not retained
