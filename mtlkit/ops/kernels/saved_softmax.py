"""Negatives with one matrix kept for the backward pass: three matrix products, half eager's memory.

The matrix holds exp(z - shift), a tile of classes at a time in place of the logits. The
backward pass only reads it: factors of rows are applied to x, so that a second backward pass
reads the same values.
"""

from typing import Any

import torch
from torch import Tensor

from mtlkit.ops.kernels.custom_op import custom_op
from mtlkit.ops.kernels.negatives import fake_gradients, make_backward, row_numbers, save
from mtlkit.ops.kernels.tiles import Gradients, Logits, Scan, accumulator, share_of, spans

TILE = 1024
"""Number of classes in a tile: 2 MB of a matrix W of 512 columns in float32."""


def tile_of(storage: Tensor, rows: int, start: int, stop: int) -> Tensor:
    """Return the tile (rows, stop - start) in a flat `storage` of all tiles."""
    return storage[rows * start : rows * stop].view(rows, stop - start)


@custom_op("saved_softmax_negatives")
def saved_softmax_negatives(
    x: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor, cosine: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return the target's logit, the log-sum-exp of its negatives, (N,) each, and saved tensors.

    Saved are the tiles of exp(z - shift) (N * C,), the shifts (tiles, N) and the mean of W
    over the negatives (N, D).
    """
    logits = Logits(x, weight, bias, target, cosine)
    scan = Scan(logits, pull=True)
    storage = x.new_empty(len(x) * len(weight))
    shifts = []
    for start, stop in spans(len(weight), TILE):
        _, shift = scan.step(start, stop, tile_of(storage, len(x), start, stop))
        shifts.append(shift)
    return (
        logits.target_logit(), scan.negative_lse(), storage, torch.stack(shifts), scan.mean(),
    )  # fmt: skip


@custom_op("saved_softmax_negatives_backward")
def saved_softmax_negatives_backward(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    target: Tensor,
    cosine: bool,
    negative_lse: Tensor,
    storage: Tensor,
    shifts: Tensor,
    mean: Tensor,
    of_target: Tensor,
    of_negatives: Tensor,
    needs: list[bool],
) -> list[Tensor]:
    """Return the gradients of x, W and b, empty where not needed, from those of both results."""
    logits = Logits(x, weight, bias, target, cosine)
    gradients = Gradients(x, weight, bias, needs)
    for (start, stop), shift in zip(spans(len(weight), TILE), shifts, strict=True):
        shares = tile_of(storage, len(x), start, stop)
        factor = share_of(shift, negative_lse) * of_negatives
        gradients.add_tile(logits, (start, stop), shares, factor, more=False)
    gradients.add_rows(slice(None), logits, mean, of_negatives, of_target)
    return gradients.tensors(x)


@saved_softmax_negatives.register_fake
def _(x: Tensor, weight: Tensor, *_: Any) -> tuple[Tensor, ...]:
    wide = accumulator(x.dtype)
    tiles = (len(weight) + TILE - 1) // TILE
    return (
        row_numbers(x), row_numbers(x), x.new_empty(len(x) * len(weight)),
        x.new_empty((tiles, len(x)), dtype=wide), torch.empty_like(x, dtype=wide),
    )  # fmt: skip


saved_softmax_negatives_backward.register_fake(fake_gradients)
saved_softmax_negatives.register_autograd(save, make_backward(saved_softmax_negatives_backward))
