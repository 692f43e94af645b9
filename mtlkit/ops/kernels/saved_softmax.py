"""Rivals with one matrix kept for the backward pass: three matrix products, half eager's memory.

The matrix holds exp(z - reference), a tile of classes at a time in place of the logits. The
backward pass only reads it: whatever differs between rows is applied to x, so that a second
backward finds everything as it was.
"""

import torch
from torch import Tensor

from mtlkit.ops.kernels.custom_op import node
from mtlkit.ops.kernels.negatives import backward_by, fake_gradients, row_numbers, save
from mtlkit.ops.kernels.tiles import Gradients, Logits, Scan, accumulator, share_of, spans

TILE = 1024
"""How many classes make a tile: 2 MB of a matrix W of 512 columns in float32."""


def tile_of(storage: Tensor, rows: int, start: int, stop: int) -> Tensor:
    """The tile (rows, stop - start) in a flat `storage` of all tiles."""
    return storage[rows * start : rows * stop].view(rows, stop - start)


@node("rivals_stored")
def rivals_stored(
    x: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor, cosine: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The target's logit and the log-sum-exp of its rivals, (N,) each, and what is kept.

    Kept are the tiles of exp(z - reference) (N * C,), the references (tiles, N) and the mean of W
    over the rivals (N, D).
    """
    logits = Logits(x, weight, bias, target, cosine)
    scan = Scan(logits, pull=True)
    storage = x.new_empty(len(x) * len(weight))
    references = []
    for start, stop in spans(len(weight), TILE):
        _, reference = scan.step(start, stop, tile_of(storage, len(x), start, stop))
        references.append(reference)
    return (
        logits.target_logit(), scan.rivals(), storage, torch.stack(references), scan.mean(),
    )  # fmt: skip


@node("rivals_stored_backward")
def rivals_stored_backward(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    target: Tensor,
    cosine: bool,
    rivals: Tensor,
    storage: Tensor,
    references: Tensor,
    mean: Tensor,
    of_target: Tensor,
    of_rivals: Tensor,
    needs: list[bool],
) -> list[Tensor]:
    """The gradients of x, W and b, empty where not needed, from those of both results."""
    logits = Logits(x, weight, bias, target, cosine)
    found = Gradients(x, weight, bias, needs)
    for (start, stop), reference in zip(spans(len(weight), TILE), references, strict=True):
        shares = tile_of(storage, len(x), start, stop)
        factor = share_of(reference, rivals) * of_rivals
        found.add_tile(logits, (start, stop), shares, factor, more=False)
    found.add_rows(slice(None), logits, mean, of_rivals, of_target)
    return found.tensors(x)


@rivals_stored.register_fake
def _(
    x: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor, cosine: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    wide = accumulator(x.dtype)
    tiles = (len(weight) + TILE - 1) // TILE
    return (
        row_numbers(x), row_numbers(x), x.new_empty(len(x) * len(weight)),
        x.new_empty((tiles, len(x)), dtype=wide), torch.empty_like(x, dtype=wide),
    )  # fmt: skip


rivals_stored_backward.register_fake(fake_gradients)
rivals_stored.register_autograd(save, backward_by(rivals_stored_backward))
