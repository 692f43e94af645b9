"""Rivals by Triton without a matrix of logits: tiles that are made again for the backward pass."""

import torch
from torch import Tensor

from mtlkit.ops.kernels.chunked import gradients_by_tiles
from mtlkit.ops.kernels.custom_op import node
from mtlkit.ops.kernels.negatives import backward_by, fake_gradients, fake_rivals, save
from mtlkit.ops.kernels.tiles import Gradients, Logits, finite, inverse_norm
from mtlkit.ops.triton.config import TILE, classes_of_a_program, count, even, gpu_of, of_product
from mtlkit.ops.triton.support import kernels, on_device_of, upcast


def class_scale(logits: Logits) -> Tensor | None:
    """1 / |w| (C,) for cosines: it scales the logits, so that no unit vectors are made."""
    return inverse_norm(logits.weight).squeeze(1).contiguous() if logits.cosine else None


@node("rivals_by_triton")
def rivals_by_triton(
    x: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor, cosine: bool
) -> tuple[Tensor, Tensor]:
    """The target's logit and the log-sum-exp of its rivals (N,), without a matrix of logits."""
    logits = Logits(x, weight, bias, target, cosine)
    blocks = of_product(x.dtype, gpu_of(x), len(x), len(weight), even(x, weight))
    split = classes_of_a_program(blocks, gpu_of(x), max(len(x), 1), len(weight))
    parts = count(len(weight), split)
    tops = x.new_empty((parts, len(x)), dtype=torch.float32)
    totals = torch.empty_like(tops)
    if len(x):
        with on_device_of(x):
            kernels().rivals_of_rows[(count(len(x), blocks.rows), parts)](
                x, weight, None if bias is None else bias.contiguous(), class_scale(logits),
                target.contiguous(), tops, totals, len(x), len(weight), x.shape[1], split,
                BIASED=bias is not None, SCALED=cosine, UPCAST=upcast(x), **blocks.options(),
            )  # fmt: skip
    return logits.target_logit(), torch.logsumexp(finite(tops) + totals.log(), dim=0)


@node("rivals_by_triton_backward")
def rivals_by_triton_backward(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    target: Tensor,
    cosine: bool,
    rivals: Tensor,
    of_target: Tensor,
    of_rivals: Tensor,
    needs: list[bool],
) -> list[Tensor]:
    """The gradients of x, W and b: tiles of shares by a kernel, their products by torch."""
    logits = Logits(x, weight, bias, target, cosine)
    scale = class_scale(logits)
    bias = None if bias is None else bias.contiguous()

    def shares(start: int, stop: int, tile: Tensor) -> Tensor:
        found = x.new_empty(len(x), stop - start)
        blocks = of_product(x.dtype, gpu_of(x), len(x), stop - start, even(x, weight))
        grid = count(len(x), blocks.rows), count(stop - start, blocks.classes)
        if len(x):
            with on_device_of(x):
                kernels().shares_of_tile[grid](
                    x, weight[start:stop], None if bias is None else bias[start:stop],
                    None if scale is None else scale[start:stop], target.contiguous(), rivals,
                    found, start, len(x), stop - start, x.shape[1], BIASED=bias is not None,
                    SCALED=cosine, UPCAST=upcast(x), **blocks.options(),
                )  # fmt: skip
        return found

    found = Gradients(x, weight, bias, needs)
    gradients_by_tiles(found, logits, of_target, of_rivals, TILE, shares)
    return found.tensors(x)


rivals_by_triton.register_fake(fake_rivals)
rivals_by_triton_backward.register_fake(fake_gradients)
rivals_by_triton.register_autograd(save, backward_by(rivals_by_triton_backward))
