"""Costs of the implementations of one head for each group of rows, from their sizes."""

import torch

from mtlkit.ops.dispatch.implementation import Cost, Request
from mtlkit.ops.kernels.costs import CACHED, products

WAIT = 8
"""Kernel starts that take as long as one sync of the host with a GPU, about 40 us."""


def eager(request: Request) -> Cost:
    return _cost(
        request, passes=14, calls=30 * request.parts, weights=0, buffers=3, waits=request.parts
    )


def sorted_groups(request: Request) -> Cost:
    return _cost(request, passes=8, calls=70 + 12 * request.parts, weights=0, buffers=1, waits=1)


def concatenated(request: Request) -> Cost:
    # kernels were counted for a GPU; a CPU runs many small calls
    parts, calls = request.parts, 33 if request.device == "cuda" else 115
    one = _cost(request, passes=8, calls=calls + 12 * parts, weights=4, buffers=2, waits=0)
    return one._replace(flops=parts * one.flops, moved=parts * one.moved, peak=parts * one.peak)


def grouped_mm(request: Request) -> Cost:
    # the stack of all W is copied, and so are its gradients; except in bfloat16, torch
    # fetches the ends of the groups in each of its products
    waits = 0 if request.dtype == torch.bfloat16 else 1 + 2 * request.gradient
    return _cost(request, passes=8, calls=80, weights=12, buffers=3, waits=waits)


def _cost(
    request: Request, passes: float, calls: float, weights: float, buffers: float, waits: int
) -> Cost:
    """Return the cost of three products, `passes` over the features and `weights` over all W."""
    matrix = request.logits * 4
    features = request.rows * request.features * request.size
    weight = request.parts * request.classes * request.features * request.size
    return Cost(
        flops=products(request),
        moved=passes * features
        + (weights * weight if weight > CACHED else 0)
        + (10 * matrix if matrix > CACHED else 0),
        calls=calls + (WAIT * waits if request.device == "cuda" else 0),
        peak=buffers * matrix + 2 * features + (weight if weights else 0),
        buffers=buffers,
        buffer=matrix / (1 if buffers == 1 else request.parts),
    )
