"""What the ways to have rivals share: fake results, and the road through autograd.

An op of rivals gives the target's logit and the log-sum-exp of its rivals, (N,) each, and after
them what its backward pass is to find again. That pass is an op of its own, which takes the inputs,
the rivals, what was kept, the gradients of both results, and whose gradients are needed.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mtlkit.ops.kernels.grad_buffers import zeros_for_none
from mtlkit.ops.kernels.tiles import accumulator


def row_numbers(x: Tensor) -> Tensor:
    """What a fake result of one number for each row looks like."""
    return x.new_empty(len(x), dtype=accumulator(x.dtype))


def fake_rivals(x: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
    """What the results of an op that keeps nothing look like."""
    return row_numbers(x), row_numbers(x)


def fake_gradients(x: Tensor, weight: Tensor, bias: Tensor | None, *others: Any) -> list[Tensor]:
    """What the gradients of x, W and b look like; the last argument says which are needed."""
    needs: list[bool] = others[-1]
    return [
        torch.empty_like(each) if each is not None and need else x.new_empty(0)
        for each, need in zip((x, weight, bias), needs, strict=True)
    ]


def save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    """Keep what the backward pass needs: the inputs, the rivals, and what the op gave for it."""
    x, weight, bias, target, ctx.cosine = inputs
    ctx.needs = [t is not None and t.requires_grad for t in (x, weight, bias)]
    _, rivals, *kept = output
    ctx.save_for_backward(x, weight, bias, target, rivals, *kept)
    ctx.mark_non_differentiable(*kept)
    ctx.set_materialize_grads(False)  # or zeros the size of the logits are made for what is kept


def backward_by(
    gradients_of: Callable[..., list[Tensor]],
) -> Callable[..., tuple[Tensor | None, ...]]:
    """The backward pass, by an op that gives the gradients of x, W and b."""

    def backward(
        ctx: Any, of_target: Tensor | None, of_rivals: Tensor | None, *_: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        x, weight, bias, target, rivals, *kept = ctx.saved_tensors
        upstream = zeros_for_none(rivals, of_target, of_rivals)
        found = gradients_of(
            x, weight, bias, target, ctx.cosine, rivals, *kept, *upstream, ctx.needs
        )
        needed = (each if need else None for each, need in zip(found, ctx.needs, strict=True))
        return (*needed, None, None)

    return backward
