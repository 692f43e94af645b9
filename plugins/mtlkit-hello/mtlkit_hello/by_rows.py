"""An implementation of the linear cross-entropy: a few rows of logits at a time."""

from typing import Any

import torch
from torch import Tensor

from mtlkit.ops import Call, Cost, Implementation, Request, products, refuses_forward_mode

LIBRARY = "mtlkit_hello"
"""The namespace of this package's operators in torch."""

ROWS = 256
"""Number of rows whose logits exist at a time."""


@torch.library.custom_op(f"{LIBRARY}::losses_by_rows", mutates_args=())
def losses_by_rows(
    x: Tensor, weight: Tensor, bias: Tensor, target: Tensor
) -> tuple[Tensor, Tensor]:
    """Compute the losses (N,) of the logits x W^T + b, and their log-sum-exp (N,)."""
    wide = torch.promote_types(x.dtype, torch.float32)
    losses, total = x.new_empty(len(x), dtype=wide), x.new_empty(len(x), dtype=wide)
    for start in range(0, len(x), ROWS):
        part = slice(start, start + ROWS)
        logits = torch.addmm(bias, x[part], weight.T).to(wide)
        total[part] = logits.logsumexp(dim=1)
        losses[part] = total[part] - logits.gather(1, target[part, None]).squeeze(1)
    return losses, total


@torch.library.custom_op(f"{LIBRARY}::losses_by_rows_backward", mutates_args=())
def losses_by_rows_backward(
    upstream: Tensor, x: Tensor, weight: Tensor, bias: Tensor, target: Tensor, total: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the gradients of x, W and b, summed in float32 whatever the inputs are."""
    of_x = torch.empty_like(x)
    of_weight = torch.zeros_like(weight, dtype=total.dtype)
    of_bias = torch.zeros_like(bias, dtype=total.dtype)
    for start in range(0, len(x), ROWS):
        part = slice(start, start + ROWS)
        logits = torch.addmm(bias, x[part], weight.T).to(total.dtype)
        slope = (logits - total[part, None]).exp()
        slope.scatter_add_(1, target[part, None], -torch.ones_like(slope[:, :1]))
        slope *= upstream[part, None]
        low = slope.to(x.dtype)
        of_x[part] = low @ weight
        of_weight += low.T @ x[part]
        of_bias += slope.sum(dim=0)
    return of_x, of_weight.to(weight.dtype), of_bias.to(bias.dtype)


@losses_by_rows.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    wide = torch.promote_types(x.dtype, torch.float32)
    return x.new_empty(len(x), dtype=wide), x.new_empty(len(x), dtype=wide)


@losses_by_rows_backward.register_fake
def _(
    upstream: Tensor, x: Tensor, weight: Tensor, bias: Tensor, target: Tensor, total: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(x), torch.empty_like(weight), torch.empty_like(bias)


def _save(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(*inputs, output[1])
    ctx.mark_non_differentiable(output[1])


def _backward(
    ctx: Any, upstream: Tensor, _: Tensor
) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
    return *losses_by_rows_backward(upstream, *ctx.saved_tensors), None


losses_by_rows.register_autograd(_backward, setup_context=_save)


def run(call: Call) -> Tensor:
    """Return the losses, reduced as the call requests."""
    call.check_target()
    bias = call.x.new_zeros(len(call.weight)) if call.bias is None else call.bias
    losses: Tensor
    losses, _ = losses_by_rows(call.x, call.weight, bias, call.known_target())
    return call.reduced(losses * call.row_weight())


def refuses(request: Request) -> str:
    """Return the reason why a request cannot be served, or an empty string."""
    if "label_smoothing" in request.options:
        return "it has no label smoothing"
    return refuses_forward_mode(request)


def cost(request: Request) -> Cost:
    """Return the cost for `mtlkit ops explain`: one more product, and the logits of some rows."""
    logits = min(request.rows, ROWS) * request.classes * 4
    return Cost(
        flops=products(request, backward=3),
        moved=24 * request.logits,
        calls=20 * -(-request.rows // ROWS),
        peak=3 * logits,
    )


BY_ROWS = Implementation(
    "hello/by-rows",
    "a few rows at a time",
    run,
    refuses,
    cost,
    op="linear_cross_entropy",  # the op that it implements
)
