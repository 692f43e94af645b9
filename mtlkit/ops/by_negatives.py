"""Algorithms that reduce logits to two numbers a row: the target's logit and its negatives' LSE.

A cross-entropy is softplus(r - z_t), where z_t is the target's logit and r the log-sum-exp of all
other logits. Each algorithm computes both for logits x W^T + b, or for cosines times a scale, and
so serves every loss that changes the target's logit alone.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor

from mtlkit.ops.dispatch.implementation import Cost, Implementation, Request, serves_all
from mtlkit.ops.kernels import costs, margin_costs, triton_config
from mtlkit.ops.kernels.chunked import chunked_negatives, tile_width
from mtlkit.ops.kernels.compiled import compiled_later
from mtlkit.ops.kernels.custom_op import CustomOp
from mtlkit.ops.kernels.margin_costs import with_unit_vectors
from mtlkit.ops.kernels.saved_softmax import TILE, saved_softmax_negatives
from mtlkit.ops.kernels.tiles import Logits
from mtlkit.ops.triton import saved
from mtlkit.ops.triton.linear import triton_negatives
from mtlkit.ops.triton.saved import negatives_of_logits
from mtlkit.ops.triton.support import refuses as triton_refuses

Negatives = Callable[[Logits, bool], tuple[Tensor, Tensor]]
"""A function of the logits, and of whether a backward pass follows.

It returns the target's logit (N,) and the log-sum-exp of its negatives (N,)."""


def _computed(op: CustomOp, logits: Logits, gradient: bool) -> tuple[Tensor, Tensor]:
    """Compute by an operator, which may return saved tensors too."""
    contiguous = logits._replace(x=logits.x.contiguous(), weight=logits.weight.contiguous())
    target_logit, negative_lse, *_ = op(*contiguous)
    return target_logit, negative_lse


def chunked(logits: Logits, gradient: bool) -> tuple[Tensor, Tensor]:
    """Compute a tile of classes at a time, and each tile again in the backward pass."""
    return _computed(chunked_negatives, logits, gradient)


def _saved_softmax(logits: Logits, gradient: bool) -> tuple[Tensor, Tensor]:
    op = saved_softmax_negatives if gradient else chunked_negatives
    return _computed(op, logits, gradient)


def _chunked_cosine(request: Request) -> Cost:
    return with_unit_vectors(costs.chunked, 6, tile_width(request.rows), request)


def _triton_saved_cosine(request: Request) -> Cost:
    # unit rows are computed by tiles, each with several kernels in both passes
    cost = with_unit_vectors(costs.triton_saved, 4, saved.TILE, request)
    return cost._replace(calls=cost.calls + 16 * math.ceil(request.classes / saved.TILE))


def cosine_implementations(
    reference: Callable[..., Tensor], result: str, losses: Callable[[Negatives, Any], Tensor]
) -> list[Implementation]:
    """Return all implementations of an op of cosines: its definition, and the algorithms."""
    return [
        Implementation(
            "eager", f"the definition: cosines, then {result}", reference, serves_all,
            margin_costs.eager,
        ),
        Implementation(
            "compiled", "the definition by torch.compile", compiled_later(reference),
            costs.refuses_forward_mode, margin_costs.compiled, automatic=False,
        ),
        *implementations(losses, cosine=True),
    ]  # fmt: skip


def implementations(
    losses: Callable[[Negatives, Any], Tensor], *, cosine: bool
) -> list[Implementation]:
    """Return an implementation for each algorithm, of an op whose result `losses` computes."""
    once = costs.refuses_forward_mode
    return [
        Implementation(
            name, summary, partial(losses, negatives), refuses, cosine_cost if cosine else cost
        )
        for name, summary, negatives, refuses, cost, cosine_cost in (
            (
                "saved-softmax", "keeps one matrix of exponentials", _saved_softmax, once,
                costs.saved_softmax, partial(with_unit_vectors, costs.saved_softmax, 6, TILE),
            ),
            (
                "chunked", "a tile of classes at a time, computed again for the backward pass",
                chunked, once, costs.chunked, _chunked_cosine,
            ),
            (
                "triton-saved", "logits of the inputs' type, read once by each pass",
                partial(_computed, negatives_of_logits), triton_refuses, costs.triton_saved,
                _triton_saved_cosine,
            ),
            (
                "triton", "no logits, tiles computed again for the backward pass",
                partial(_computed, triton_negatives), triton_refuses, costs.triton,
                partial(with_unit_vectors, costs.triton, 4, triton_config.TILE),
            ),
        )
    ]  # fmt: skip
