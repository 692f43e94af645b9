"""Fake results and autograd of the operators that compute negatives.

Such an operator returns the target's logit and the log-sum-exp of its negatives, (N,) each, and
then the tensors that its backward pass needs. That pass is a separate operator, whose arguments are
the inputs, the log-sum-exp, the saved tensors, the gradients of both results, and which gradients
are needed.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from mtlkit.ops.kernels.grad_buffers import consumable
from mtlkit.ops.kernels.tiles import accumulator


def row_numbers(x: Tensor) -> Tensor:
    """Return a fake result of one number for each row."""
    return x.new_empty(len(x), dtype=accumulator(x.dtype))


def fake_negatives(x: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
    """Return fake results of an op that saves nothing."""
    return row_numbers(x), row_numbers(x)


def fake_gradients(x: Tensor, weight: Tensor, bias: Tensor | None, *others: Any) -> list[Tensor]:
    """Return fake gradients of x, W and b; the last argument lists which are needed."""
    needs: list[bool] = others[-1]
    return [
        torch.empty_like(tensor) if tensor is not None and need else x.new_empty(0)
        for tensor, need in zip((x, weight, bias), needs, strict=True)
    ]


def save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    """Save the tensors that the backward pass needs: inputs, negatives and extra results."""
    x, weight, bias, target, ctx.cosine = inputs
    ctx.needs = [t is not None and t.requires_grad for t in (x, weight, bias)]
    _, negative_lse, *kept = output
    ctx.save_for_backward(x, weight, bias, target, negative_lse, *kept)
    ctx.mark_non_differentiable(*kept)
    ctx.set_materialize_grads(False)  # avoids zeros the size of the logits for saved results


def make_backward(
    gradients_of: Callable[..., Sequence[Tensor]], *, overwrites: bool = False
) -> Callable[..., tuple[Tensor | None, ...]]:
    """Return the backward pass, from an op that computes the gradients of x, W and b.

    An op that `overwrites` the saved tensors gets copies unless this is their last use.
    """

    def backward(
        ctx: Any, of_target: Tensor | None, of_negatives: Tensor | None, *_: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        x, weight, bias, target, negative_lse, *kept = ctx.saved_tensors
        kept = list(map(consumable, kept)) if overwrites else kept
        upstream = (
            torch.zeros_like(negative_lse) if gradient is None else gradient
            for gradient in (of_target, of_negatives)
        )
        gradients = gradients_of(
            x, weight, bias, target, ctx.cosine, negative_lse, *kept, *upstream, ctx.needs
        )
        needed = (
            gradient if need else None for gradient, need in zip(gradients, ctx.needs, strict=True)
        )
        return (*needed, None, None)

    return backward
