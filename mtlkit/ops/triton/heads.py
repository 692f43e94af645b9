"""All heads of few classes and the gate in one Triton kernel, and one more for their gradients."""

from functools import cache

import torch
from torch import Tensor

from mtlkit.ops.dispatch.implementation import Request
from mtlkit.ops.kernels.concatenated import fake_gradients, fake_heads, make_backward, save
from mtlkit.ops.kernels.custom_op import custom_op
from mtlkit.ops.kernels.tiles import accumulator
from mtlkit.ops.kernels.triton_config import count, even, of_heads
from mtlkit.ops.triton.support import kernels, on_device_of, upcast
from mtlkit.ops.triton.support import refuses as refuses_any

MOST = 256
"""Most classes of all heads together: a program holds a row's logits in registers."""


def refuses(request: Request) -> str:
    """Return the reason why the kernels cannot serve a request, or an empty string."""
    if request.classes > MOST:
        return f"the kernel is for {MOST} classes in all, these are {request.classes}"
    return refuses_any(request)


@cache
def _starts(sizes: tuple[int, ...], device: torch.device) -> Tensor:
    """Return the start of each head, cached since a captured graph cannot copy from the host."""
    return torch.tensor([0, *sizes]).cumsum(0).to(device)


@custom_op("small_heads_triton")
def small_heads(
    x: Tensor, weights: list[Tensor], biases: list[Tensor], targets: Tensor, smoothing: float
) -> list[Tensor]:
    """Compute the results of `concatenated.concatenated_heads`, with the same saved matrix."""
    sizes = tuple(len(weight) for weight in weights)
    wide, classes = accumulator(x.dtype), sum(sizes)
    losses = x.new_empty(targets.shape, dtype=wide)
    kept = x.new_empty((classes, len(x)), dtype=wide)
    if len(x):
        weight = torch.cat(weights)
        blocks = of_heads(x.dtype, classes, even(x, weight))
        with on_device_of(x):
            kernels().small_heads[(count(len(x), blocks.rows),)](
                x, weight, torch.cat(biases), _starts(sizes, x.device),
                targets.contiguous(), losses, kept, len(x), classes, x.shape[1], smoothing,
                LABELLED=len(targets), HEADS=len(weights), UPCAST=upcast(x), **blocks.options(),
            )  # fmt: skip
    gated = len(weights) > len(targets)
    shares = kept[classes - sizes[-1] :].exp() if gated else x.new_empty(0, dtype=wide)
    return [losses, shares, kept]


@custom_op("small_heads_triton_backward")
def small_heads_backward(
    x: Tensor,
    weights: list[Tensor],
    targets: Tensor,
    smoothing: float,
    kept: list[Tensor],
    of_losses: Tensor,
    of_shares: Tensor,
    need_x: bool,
) -> list[Tensor]:
    """Return the gradients of x (empty if not needed), of all weights, and of all biases."""
    sizes = tuple(len(weight) for weight in weights)
    logits = x.new_zeros((sum(sizes), len(x)))
    if len(x):
        blocks = of_heads(x.dtype, sum(sizes), even(x))
        with on_device_of(x):
            kernels().gradient_of_small_heads[(count(len(x), blocks.rows),)](
                kept[0], _starts(sizes, x.device), targets.contiguous(), of_losses.contiguous(),
                of_shares.contiguous(), logits, len(x), sum(sizes), smoothing,
                LABELLED=len(targets), HEADS=len(weights), BLOCK_N=blocks.rows,
                BLOCK_C=blocks.classes, num_warps=blocks.warps,
            )  # fmt: skip
    of_x = torch.mm(logits.T, torch.cat(weights)) if need_x else x.new_empty(0)
    of_bias = logits.sum(dim=1, dtype=accumulator(x.dtype)).to(x.dtype)
    return [of_x, torch.mm(logits, x), of_bias]


small_heads.register_fake(fake_heads)
small_heads_backward.register_fake(fake_gradients)
small_heads.register_autograd(save, make_backward(small_heads_backward))
