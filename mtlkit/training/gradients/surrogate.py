"""A scalar with given gradients: continues a backward pass from gradients that were changed."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


class _Surrogate(torch.autograd.Function):
    """A zero with a given gradient at each of `count` tensors."""

    @staticmethod
    def forward(ctx: Any, count: int, *values: Tensor) -> Tensor:
        ctx.save_for_backward(*values[count:])
        ctx.dtypes = [value.dtype for value in values[:count]]
        return values[0].new_zeros((), dtype=torch.float32)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        saved = zip(ctx.saved_tensors, ctx.dtypes, strict=True)
        gradients = [(outer[0] * gradient).to(dtype) for gradient, dtype in saved]
        return (None, *gradients, *[None] * len(gradients))


def surrogate_loss(tensors: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> Tensor:
    """Return a scalar of value 0 whose gradient at each of `tensors` is the one of `gradients`.

    A tensor whose gradient is None gets none.

    >>> x = torch.ones(2, requires_grad=True)
    >>> surrogate_loss([x * 3], [torch.tensor([1.0, 2.0])]).backward()
    >>> x.grad.tolist()
    [3.0, 6.0]
    """
    pairs = [(t, g.detach()) for t, g in zip(tensors, gradients, strict=True) if g is not None]
    if not pairs:
        return torch.zeros(())
    tensors, present = zip(*pairs, strict=True)
    loss: Tensor = _Surrogate.apply(len(pairs), *tensors, *present)
    return loss
