"""Negatives by Triton from a matrix of logits of the inputs' type, which each pass reads once.

The backward pass replaces the logits by their gradients. Cosines are products with unit rows of W,
computed a tile of classes at a time: no stored number is scaled by |w|, so that float16 holds every
logit and every gradient for any norm of w.
"""

from typing import Any

import torch
from torch import Tensor

from mtlkit.ops.kernels.custom_op import custom_op
from mtlkit.ops.kernels.negatives import fake_gradients, make_backward, row_numbers, save
from mtlkit.ops.kernels.tiles import Logits, accumulator, add_product, spans
from mtlkit.ops.kernels.triton_config import count, of_row
from mtlkit.ops.triton.support import kernels, on_device_of

TILE = 16384
"""Number of unit rows of W at a time: 16 MB of 512 features in 16 bits, which an L2 holds.

They add no traffic to that of W, and few launches."""


@custom_op("negatives_of_logits_triton")
def negatives_of_logits(
    x: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor, cosine: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the target's logit, the log-sum-exp of its negatives (N,), and the saved logits."""
    z = _logits(Logits(x, weight, bias, target, cosine))
    logit, negative_lse = torch.empty_like(row_numbers(x)), torch.empty_like(row_numbers(x))
    if len(x):
        with on_device_of(x):
            kernels().negatives_of_logits[(len(x),)](
                z, target.contiguous(), logit, negative_lse, len(weight), **of_row(len(weight))
            )
    return logit, negative_lse, z


def _logits(logits: Logits) -> Tensor:
    """Return all logits (N, C) in the type of x."""
    x, weight, bias, _, cosine = logits
    if not cosine:
        return torch.mm(x, weight.T) if bias is None else torch.addmm(bias, x, weight.T)
    z = x.new_empty(len(x), len(weight))
    for start, stop in spans(len(weight), TILE):
        torch.mm(x, logits.weight_tile(start, stop).T, out=z[:, start:stop])
    return z


@custom_op("negatives_of_logits_triton_backward", changes=["z"])
def negatives_of_logits_backward(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    target: Tensor,
    cosine: bool,
    negative_lse: Tensor,
    z: Tensor,
    of_target: Tensor,
    of_negatives: Tensor,
    needs: list[bool],
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of x, W, b, empty if not needed; `z` becomes that of the logits."""
    rows, classes = z.shape
    if rows:
        one = of_row(classes)
        with on_device_of(z):
            kernels().gradient_of_logits[(rows, count(classes, one["BLOCK"]))](
                z, target.contiguous(), negative_lse, of_target.contiguous(),
                of_negatives.contiguous(), classes, **one,
            )  # fmt: skip
    logits, (need_x, need_weight, need_bias) = Logits(x, weight, bias, target, cosine), needs
    return (
        _of_features(logits, z) if need_x else x.new_empty(0),
        _of_weight(logits, z) if need_weight else x.new_empty(0),
        z.sum(dim=0, dtype=accumulator(x.dtype)).to(x.dtype) if need_bias else x.new_empty(0),
    )


def _of_features(logits: Logits, z: Tensor) -> Tensor:
    """Return the gradient of x (N, D) by that of the logits."""
    x, weight, *_, cosine = logits
    if not cosine:
        return torch.mm(z, weight)
    total = torch.zeros_like(x, dtype=accumulator(x.dtype))
    for start, stop in spans(len(weight), TILE):
        add_product(total, z[:, start:stop], logits.weight_tile(start, stop))
    return total.to(x.dtype)


def _of_weight(logits: Logits, z: Tensor) -> Tensor:
    """Return the gradient of W (C, D) by that of the logits."""
    of_weight = torch.mm(z.T, logits.x)
    if logits.cosine:
        for start, stop in spans(len(of_weight), TILE):
            logits.project(of_weight[start:stop], start, stop)
    return of_weight


@negatives_of_logits.register_fake
def _(x: Tensor, weight: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor]:
    return row_numbers(x), row_numbers(x), x.new_empty(len(x), len(weight))


@negatives_of_logits_backward.register_fake
def _(*inputs: Any) -> tuple[Tensor, ...]:
    return tuple(fake_gradients(*inputs))


negatives_of_logits.register_autograd(
    save, make_backward(negatives_of_logits_backward, overwrites=True)
)
