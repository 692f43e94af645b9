"""Costs of the implementations of several heads on the same rows, from their sizes."""

from mtlkit.ops.dispatch.implementation import Cost, Request
from mtlkit.ops.kernels.concatenated import FEW
from mtlkit.ops.kernels.costs import CACHED, INTERPRETED, products


def eager(request: Request) -> Cost:
    matrix = request.logits * max(request.size, 4)
    # thin products run at a fraction of the speed, and each reads x and adds to its gradient
    reread = request.parts * 5 * request.rows * request.features * request.size
    return Cost(
        flops=products(request),
        moved=reread + (10 * matrix if matrix > CACHED else 0),
        calls=28 * request.parts,
        peak=3 * matrix + 2 * request.rows * request.features * request.size,
        buffers=3,
        buffer=matrix / request.parts,
    )


def concatenated(request: Request) -> Cost:
    matrix = request.logits * 4
    groups = 1 if request.classes <= FEW else 2
    return Cost(
        flops=products(request),
        moved=groups * 6 * request.rows * request.features * request.size + 12 * matrix,
        calls=115 + 12 * request.parts,
        peak=2 * matrix,
        buffers=2,
        buffer=matrix / groups,
    )


def triton(request: Request) -> Cost:
    traffic = 1.0 if request.device == "cuda" else INTERPRETED
    return Cost(
        flops=products(request),
        moved=traffic * (3 * request.rows * request.features * request.size + 12 * request.logits),
        calls=8 + 2 * request.parts,
        peak=8 * request.logits,
    )
