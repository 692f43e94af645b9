"""Negatives by Triton without a matrix of logits: tiles are computed again in the backward pass."""

import torch
from torch import Tensor

from mtlkit.ops.kernels.chunked import gradients_by_tiles
from mtlkit.ops.kernels.custom_op import custom_op
from mtlkit.ops.kernels.negatives import fake_gradients, fake_negatives, make_backward, save
from mtlkit.ops.kernels.tiles import Logits, finite, inverse_norm
from mtlkit.ops.kernels.triton_config import (
    TILE,
    classes_of_a_program,
    count,
    even,
    gpu_of,
    of_product,
)
from mtlkit.ops.triton.support import kernels, on_device_of, upcast


def class_scale(logits: Logits) -> Tensor | None:
    """Return 1 / |w| (C,) for cosines: it scales the logits, which avoids unit vectors."""
    return inverse_norm(logits.weight).squeeze(1).contiguous() if logits.cosine else None


@custom_op("triton_negatives")
def triton_negatives(
    x: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor, cosine: bool
) -> tuple[Tensor, Tensor]:
    """Return the target's logit and the log-sum-exp of its negatives (N,), by tiles."""
    logits = Logits(x, weight, bias, target, cosine)
    blocks = of_product(x.dtype, gpu_of(x), len(x), len(weight), even(x, weight))
    split = classes_of_a_program(blocks, gpu_of(x), max(len(x), 1), len(weight))
    parts = count(len(weight), split)
    tops = x.new_empty((parts, len(x)), dtype=torch.float32)
    totals = torch.empty_like(tops)
    if len(x):
        with on_device_of(x):
            kernels().negatives_of_rows[(count(len(x), blocks.rows), parts)](
                x, weight, None if bias is None else bias.contiguous(), class_scale(logits),
                target.contiguous(), tops, totals, len(x), len(weight), x.shape[1], split,
                BIASED=bias is not None, SCALED=cosine, UPCAST=upcast(x), **blocks.options(),
            )  # fmt: skip
    return logits.target_logit(), torch.logsumexp(finite(tops) + totals.log(), dim=0)


@custom_op("triton_negatives_backward")
def triton_negatives_backward(
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
    """Return the gradients of x, W, b: tiles of shares by a kernel, their products by torch."""
    logits = Logits(x, weight, bias, target, cosine)
    scale = class_scale(logits)
    bias = None if bias is None else bias.contiguous()

    def shares(start: int, stop: int, tile: Tensor) -> Tensor:
        tile_shares = x.new_empty(len(x), stop - start)
        blocks = of_product(x.dtype, gpu_of(x), len(x), stop - start, even(x, weight))
        grid = count(len(x), blocks.rows), count(stop - start, blocks.classes)
        if len(x):
            with on_device_of(x):
                kernels().shares_of_tile[grid](
                    x, weight[start:stop], None if bias is None else bias[start:stop],
                    None if scale is None else scale[start:stop], target.contiguous(), negative_lse,
                    tile_shares, start, len(x), stop - start, x.shape[1], BIASED=bias is not None,
                    SCALED=cosine, UPCAST=upcast(x), **blocks.options(),
                )  # fmt: skip
        return tile_shares

    return gradients_by_tiles(logits, of_target, of_negatives, needs, TILE, shares)


triton_negatives.register_fake(fake_negatives)
triton_negatives_backward.register_fake(fake_gradients)
triton_negatives.register_autograd(save, make_backward(triton_negatives_backward))
