"""Gradients in the forward pass, some rows at a time: three matrix products, no matrix of logits.

A sum of losses has one upstream number, so its gradients can be computed before it is known
(Liger, Hsu et al. 2024), up to a factor. If the batch has no more rows than features, the
exponentials of the logits are stored in the memory of the gradient of W: every tile of N x T of
them is replaced by the T x D numbers computed from it, and no other memory is needed.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mtlkit.ops.kernels.custom_op import custom_op
from mtlkit.ops.kernels.grad_buffers import scaled
from mtlkit.ops.kernels.negatives import fake_gradients
from mtlkit.ops.kernels.saved_softmax import TILE
from mtlkit.ops.kernels.tiles import Gradients, Logits, Scan, accumulator, share_of, spans

ROWS = 256
"""Number of rows processed at a time if the batch has more rows than features."""


@custom_op("fused_grad_cross_entropy")
def fused_grad_cross_entropy(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    target: Tensor,
    of_loss: Tensor,
    of_partition: Tensor,
    needs: list[bool],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return a weighted loss and its gradients by x, W and b.

    The loss is sum_n of_loss_n (lse_n - z_nt) + of_partition_n lse_n.
    """
    logits = Logits(x, weight, bias, target, cosine=False)
    total = x.new_zeros((), dtype=accumulator(x.dtype))
    whole = len(x) <= x.shape[1]
    gradients = Gradients(x, weight, bias, needs, wide=not whole)
    step = max(len(x) if whole else ROWS, 1)
    memory = gradients.weight if whole else None  # has room for exp(z) of all rows
    storage = x.new_empty(min(step, len(x)) * len(weight)) if memory is None else memory.view(-1)
    for first in range(0, len(x), step):
        place = slice(first, first + step)
        part = logits.rows(place)
        total += _add_rows(
            gradients, part, place, storage, of_loss[place], of_partition[place],
            shared=memory is not None,
        )  # fmt: skip
    if len(x) == 0 and gradients.weight is not None:
        gradients.weight.zero_()
    of_x, of_weight, of_bias = gradients.tensors(x)
    return total, of_x, of_weight, of_bias


def _add_rows(
    gradients: Gradients,
    logits: Logits,
    place: slice,
    storage: Tensor,
    of_loss: Tensor,
    of_partition: Tensor,
    shared: bool,
) -> Tensor:
    """Return the part of the sum from some rows; add their gradients to `gradients`."""
    rows, columns = logits.x.shape
    classes = len(logits.weight)
    # in W's gradient a tile begins at the rows of its classes
    pitch = columns if shared else rows
    scan = Scan(logits, pull=gradients.x is not None)
    kept = []
    for start, stop in spans(classes, TILE):
        out = storage[pitch * start :][: rows * (stop - start)].view(rows, stop - start)
        shares, shift = scan.step(start, stop, out)
        kept.append((start, stop, shares, shift))
    negative_lse, of_target = scan.negative_lse(), logits.target_logit()
    total, of_negatives, of_target = _losses(of_target, negative_lse, of_loss, of_partition)
    for start, stop, shares, shift in reversed(kept):  # the last tiles are still in a cache
        if shared:
            shares = shares.clone()  # this tile's gradient overwrites their memory
        factor = share_of(shift, negative_lse) * of_negatives
        gradients.add_tile(logits, (start, stop), shares, factor, more=place.start > 0)
    pull = scan.mean() if gradients.x is not None else logits.x
    gradients.add_rows(place, logits, pull, of_negatives, of_target)
    return total


def _losses(
    target_logit: Tensor, negative_lse: Tensor, of_loss: Tensor, of_partition: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the sum of the losses, and its derivatives by the negatives and the target's logit."""
    margin = target_logit - negative_lse
    wrong, right = torch.sigmoid(-margin), torch.sigmoid(margin)
    # a row of weight 0 may have an infinite loss
    losses = torch.where(of_loss == 0, 0.0, -of_loss * F.logsigmoid(margin))
    partition = torch.where(
        of_partition == 0, 0.0, of_partition * torch.logaddexp(target_logit, negative_lse)
    )
    return (
        (losses + partition).sum(),
        (of_loss + of_partition) * wrong,
        of_partition * right - of_loss * wrong,
    )


@fused_grad_cross_entropy.register_fake
def _(x: Tensor, *others: Any) -> tuple[Tensor, ...]:
    return x.new_empty((), dtype=accumulator(x.dtype)), *fake_gradients(x, *others)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.needs = [t is not None and t.requires_grad for t in inputs[:3]]
    ctx.save_for_backward(*output[1:])
    ctx.mark_non_differentiable(*output[1:])
    ctx.set_materialize_grads(False)  # avoids zeros the size of W for unused outputs


def _backward(ctx: Any, upstream: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
    if upstream is None:
        return (None,) * 7
    gradients = [
        scaled(unit, upstream) if need else None
        for unit, need in zip(ctx.saved_tensors, ctx.needs, strict=True)
    ]
    return (*gradients, None, None, None, None)


fused_grad_cross_entropy.register_autograd(_save, _backward)
