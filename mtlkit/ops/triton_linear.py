"""Rivals by Triton: in one pass over logits that are there, or without logits at all.

Imported everywhere, it imports Triton only where a kernel is started.
"""

import importlib.util
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from mtlkit.ops.choice import interpreting
from mtlkit.ops.classes import gradients_by_tiles
from mtlkit.ops.costs import refuses_forward_mode
from mtlkit.ops.implementation import Request
from mtlkit.ops.rivals import backward_by, fake_gradients, row_numbers, save
from mtlkit.ops.tiles import Gradients, Logits, accumulator, finite, inverse_norm
from mtlkit.ops.upstream import consumable, zeros_for_none

BLOCK_N, BLOCK_C, BLOCK_D = 64, 128, 64
SPLITS = 16
"""Into how many parts the classes are divided, so that a small batch fills a GPU."""

TILE = 8192
"""How many classes make a tile of the backward pass."""


def refuses(request: Request) -> str:
    """Why Triton cannot serve a request."""
    if importlib.util.find_spec("triton") is None:
        return "the package triton is not installed; it comes with torch for CUDA"
    if request.device != "cuda" and not interpreting():
        return "Triton needs a GPU; on a CPU set TRITON_INTERPRET=1, which is for tests"
    if request.dtype == torch.float64:
        return "the kernels compute in float32"
    return refuses_forward_mode(request)


def kernels() -> ModuleType:
    """The kernels, whose import needs Triton."""
    from mtlkit.ops import kernels

    return kernels


def upcast(x: Tensor) -> bool:
    """Whether the operands of a product must be float32: the interpreter's bfloat16 is wrong."""
    interpreted: bool = kernels().INTERPRETED
    return interpreted and x.dtype == torch.bfloat16


def blocks(size: int, block: int) -> int:
    """How many blocks cover `size`."""
    return (size + block - 1) // block


def class_scale(logits: Logits) -> Tensor | None:
    """1 / |w| (C,) for cosines: it scales the logits, so that no unit vectors are made."""
    return inverse_norm(logits.weight).squeeze(1).contiguous() if logits.cosine else None


@torch.library.custom_op("mtlkit::rivals_of_logits_triton", mutates_args=())
def rivals_of_logits(
    x: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor, cosine: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The target's logit, the log-sum-exp of its rivals (N,), and the products that are kept."""
    logits = Logits(x, weight, bias, target, cosine)
    scale = class_scale(logits)
    z = torch.mm(x, weight.T) if bias is None else torch.addmm(bias, x, weight.T)
    found, rivals = torch.empty_like(row_numbers(x)), torch.empty_like(row_numbers(x))
    if len(x):
        with on_device_of(x):
            kernels().rivals_of_logits[(len(x),)](
                z, scale, target.contiguous(), found, rivals, len(weight),
                SCALED=cosine, BLOCK=_block(len(weight)),
            )  # fmt: skip
    return found, rivals, z


@torch.library.custom_op("mtlkit::gradient_of_logits_triton", mutates_args={"z"})
def gradient_of_logits(
    z: Tensor,
    scale: Tensor | None,
    target: Tensor,
    rivals: Tensor,
    of_target: Tensor,
    of_rivals: Tensor,
) -> None:
    """Turn the products `z` (N, C), of which the logits are `scale` (C,) times, into gradients."""
    rows, classes = z.shape
    if rows:
        block = _block(classes)
        with on_device_of(z):
            kernels().gradient_of_logits[(rows, blocks(classes, block))](
                z, scale, target.contiguous(), rivals, of_target.contiguous(),
                of_rivals.contiguous(), classes, SCALED=scale is not None, BLOCK=block,
            )  # fmt: skip


@torch.library.custom_op("mtlkit::rivals_by_triton", mutates_args=())
def rivals_by_triton(
    x: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor, cosine: bool
) -> tuple[Tensor, Tensor]:
    """The target's logit and the log-sum-exp of its rivals (N,), without a matrix of logits."""
    logits = Logits(x, weight, bias, target, cosine)
    split = blocks(blocks(len(weight), SPLITS), BLOCK_C) * BLOCK_C
    parts = blocks(len(weight), split)
    tops = x.new_empty((parts, len(x)), dtype=torch.float32)
    totals = torch.empty_like(tops)
    if len(x):
        with on_device_of(x):
            kernels().rivals_of_rows[(blocks(len(x), BLOCK_N), parts)](
                x, weight, bias, class_scale(logits), target.contiguous(), tops, totals,
                len(x), len(weight), x.shape[1], split, BIASED=bias is not None, SCALED=cosine,
                BLOCK_N=BLOCK_N, BLOCK_C=BLOCK_C, BLOCK_D=BLOCK_D, UPCAST=upcast(x),
            )  # fmt: skip
    return logits.target_logit(), torch.logsumexp(finite(tops) + totals.log(), dim=0)


@torch.library.custom_op("mtlkit::rivals_by_triton_backward", mutates_args=())
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

    def shares(start: int, stop: int, tile: Tensor) -> Tensor:
        found = x.new_empty(len(x), stop - start)
        if len(x):
            with on_device_of(x):
                kernels().shares_of_tile[
                    (blocks(len(x), BLOCK_N), blocks(stop - start, BLOCK_C))
                ](
                    x, weight[start:stop], None if bias is None else bias[start:stop],
                    None if scale is None else scale[start:stop], target.contiguous(), rivals,
                    found, start, len(x), stop - start, x.shape[1], BIASED=bias is not None,
                    SCALED=cosine, BLOCK_N=BLOCK_N, BLOCK_C=BLOCK_C, BLOCK_D=BLOCK_D,
                    UPCAST=upcast(x),
                )  # fmt: skip
        return found

    found = Gradients(x, weight, bias, needs)
    gradients_by_tiles(found, logits, of_target, of_rivals, TILE, shares)
    return found.tensors(x)


def _block(classes: int) -> int:
    """How many columns a program takes at a time."""
    return int(min(4096, max(16, 1 << (classes - 1).bit_length())))


def on_device_of(x: Tensor) -> torch.cuda.device:
    """Kernels are started on the device of `x`, whichever is current."""
    return torch.cuda.device(x.device if x.is_cuda else -1)


@rivals_of_logits.register_fake
def _(
    x: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor, cosine: bool
) -> tuple[Tensor, Tensor, Tensor]:
    return row_numbers(x), row_numbers(x), x.new_empty(len(x), len(weight))


@gradient_of_logits.register_fake
def _(
    z: Tensor,
    scale: Tensor | None,
    target: Tensor,
    rivals: Tensor,
    of_target: Tensor,
    of_rivals: Tensor,
) -> None:
    return None


@rivals_by_triton.register_fake
def _(
    x: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor, cosine: bool
) -> tuple[Tensor, Tensor]:
    return row_numbers(x), row_numbers(x)


@rivals_by_triton_backward.register_fake
def _(
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
    return fake_gradients(x, weight, bias, needs)


def _of_logits_backward(
    ctx: Any, of_target: Tensor | None, of_rivals: Tensor | None, _: None
) -> tuple[Tensor | None, ...]:
    x, weight, bias, target, rivals, kept = ctx.saved_tensors
    logits = Logits(x, weight, bias, target, ctx.cosine)
    z = consumable(kept)
    upstream = zeros_for_none(rivals, of_target, of_rivals)
    gradient_of_logits(z, class_scale(logits), target, rivals, *upstream)
    needs_x, needs_weight, needs_bias = ctx.needs_input_grad[:3]
    of_x = torch.mm(z, weight) if needs_x else None
    of_weight = torch.mm(z.T, x) if needs_weight else None
    if of_weight is not None and ctx.cosine:
        unit = weight * inverse_norm(weight).to(weight.dtype)
        of_weight = of_weight - unit * (unit * of_weight).sum(dim=1, keepdim=True)
    of_bias = z.sum(dim=0, dtype=accumulator(x.dtype)).to(x.dtype) if needs_bias else None
    return of_x, of_weight, of_bias, None, None


rivals_of_logits.register_autograd(_of_logits_backward, setup_context=save)
rivals_by_triton.register_autograd(backward_by(rivals_by_triton_backward), setup_context=save)
