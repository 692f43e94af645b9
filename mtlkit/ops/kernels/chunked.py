"""Negatives by tiles of classes, computed again for the backward pass: least memory.

The forward pass saves only one number a row; the backward pass computes each tile of probabilities
again, a fourth matrix product in addition to the three required ones. It is the algorithm of cut
cross-entropy (Wijmans et al. 2025) in torch's operators.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from mtlkit.ops.kernels.custom_op import custom_op
from mtlkit.ops.kernels.negatives import fake_gradients, fake_negatives, make_backward, save
from mtlkit.ops.kernels.tiles import (
    Gradients,
    Logits,
    Scan,
    accumulator,
    add_product,
    finite,
    spans,
)

TILE_NUMBERS = 2**20
"""Approximate number of logits in a tile; 4 MB of them stay in a cache."""


def tile_width(rows: int) -> int:
    """Return the number of classes in a tile."""
    return max(256, min(8192, TILE_NUMBERS // max(rows, 1)))


@custom_op("chunked_negatives")
def chunked_negatives(
    x: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor, cosine: bool
) -> tuple[Tensor, Tensor]:
    """Return the target's logit and the log-sum-exp of its negatives, (N,) each; see `Logits`."""
    logits = Logits(x, weight, bias, target, cosine)
    scan = Scan(logits, pull=False)
    for start, stop in spans(len(weight), tile_width(len(x))):
        scan.step(start, stop)
    return logits.target_logit(), scan.negative_lse()


@custom_op("chunked_negatives_backward")
def chunked_negatives_backward(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    target: Tensor,
    cosine: bool,
    negative_lse: Tensor,
    of_target: Tensor,
    of_negatives: Tensor,
    needs: list[bool],
) -> list[Tensor]:
    """Return the gradients of x, W and b, empty where not needed, from those of both results."""
    logits = Logits(x, weight, bias, target, cosine)
    shift = finite(negative_lse).unsqueeze(1)

    def shares(start: int, stop: int, tile: Tensor) -> Tensor:
        return logits.negative_logits(start, stop, tile).sub_(shift).exp_()

    return gradients_by_tiles(logits, of_target, of_negatives, needs, tile_width(len(x)), shares)


def gradients_by_tiles(
    logits: Logits,
    of_target: Tensor,
    of_negatives: Tensor,
    needs: list[bool],
    width: int,
    shares: Callable[[int, int, Tensor], Tensor],
) -> list[Tensor]:
    """Return the gradients of x, W and b; `shares` is exp(z - negative_lse) (N, T) of a tile."""
    x = logits.x
    gradients = Gradients(x, logits.weight, logits.bias, needs)
    pull = torch.zeros_like(x, dtype=accumulator(x.dtype))
    for start, stop in spans(len(logits.weight), width):
        tile = logits.weight_tile(start, stop)
        tile_shares = shares(start, stop, tile)
        if gradients.x is not None:
            add_product(pull, tile_shares, tile)
        gradients.add_tile(logits, (start, stop), tile_shares, of_negatives, more=False)
        del tile_shares, tile  # frees them before the next ones are allocated
    gradients.add_rows(slice(None), logits, pull, of_negatives, of_target)
    return gradients.tensors(x)


chunked_negatives.register_fake(fake_negatives)
chunked_negatives_backward.register_fake(fake_gradients)
chunked_negatives.register_autograd(save, make_backward(chunked_negatives_backward))
