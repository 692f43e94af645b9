"""A scalar with given gradients: continues a backward pass from gradients that were changed."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

Pairs = Iterable[tuple[Tensor, Tensor | None]]
"""Tensors, each with a gradient to apply there; None for none."""


class _Surrogate(torch.autograd.Function):
    """A value with a given gradient at each of `count` tensors, in addition to its own."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, count: int, *tensors: Tensor) -> Tensor:
        ctx.save_for_backward(*tensors[count:])
        ctx.dtypes = [tensor.dtype for tensor in tensors[:count]]
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        factor: Tensor | None = outer[0]
        if outer[0].device.type == "cpu" and outer[0].item() == 1:
            factor = None  # avoids an operator for each tensor
        gradients = [
            (saved if factor is None else factor * saved).to(dtype)
            for saved, dtype in zip(ctx.saved_tensors, ctx.dtypes, strict=True)
        ]
        return (outer[0], None, *gradients, *[None] * len(gradients))


def surrogate_loss(pairs: Pairs, value: Tensor) -> Tensor:
    """Return `value` as a scalar with a further gradient at each tensor of `pairs`.

    >>> x = torch.ones(2, requires_grad=True)
    >>> loss = surrogate_loss([(x * 3, torch.tensor([1.0, 2.0]))], torch.tensor(5.0))
    >>> loss.backward()
    >>> loss.item(), x.grad.tolist()
    (5.0, [3.0, 6.0])
    """
    present = [(tensor, gradient.detach()) for tensor, gradient in pairs if gradient is not None]
    if not present:
        return value
    tensors, gradients = zip(*present, strict=True)
    loss: Tensor = _Surrogate.apply(value, len(present), *tensors, *gradients)
    return loss
