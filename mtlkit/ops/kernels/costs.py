"""Costs of the implementations of a cross-entropy of linear logits, from their sizes.

The counts of passes were fitted to measured times on a CPU, see docs/explanation/ops.md; those of a
GPU are only counted.
"""

import math

from mtlkit.ops.dispatch.implementation import Cost, Request
from mtlkit.ops.kernels import triton_config
from mtlkit.ops.kernels.chunked import tile_width
from mtlkit.ops.kernels.fused_grad import ROWS
from mtlkit.ops.kernels.saved_softmax import TILE

CACHED = 8e6
"""A matrix of logits of fewer bytes stays in the caches of a CPU."""

INTERPRETED = 1e9
"""Bytes of traffic charged for each logit in Triton's interpreter, which is slow."""


def products(request: Request, backward: int = 2) -> float:
    """Return the operations of the logits' product and of those of the backward pass."""
    return (1 + backward * request.gradient) * 2.0 * request.logits * request.features


def eager(request: Request) -> Cost:
    """Two matrices of logits, and passes over them."""
    matrix = request.logits * max(request.size, 4)
    passes = 10 if request.gradient else 2
    return Cost(
        flops=products(request),
        moved=0.0 if matrix < CACHED and request.device == "cpu" else passes * matrix,
        calls=8,
        peak=2 * matrix,
        buffers=3 if request.gradient else 2,
        buffer=matrix,
    )


def compiled(request: Request) -> Cost:
    """Eager with fewer passes."""
    plain = eager(request)
    return plain._replace(moved=0.6 * plain.moved, calls=40, peak=plain.peak / 2)


def native(request: Request) -> Cost:
    """512 rows of logits at a time, and a gradient of W that is scaled once more."""
    chunks = math.ceil(request.rows / 512)
    matrix = min(request.rows, 512) * request.classes * 4
    weight = request.classes * request.features * request.size
    return Cost(
        flops=products(request),
        moved=24 * request.logits + 2 * weight * chunks + 40 * request.rows * request.features,
        calls=80 * chunks,
        peak=1.1 * matrix + weight,
        buffers=1,
        buffer=matrix,
    )


def fused_grad(request: Request) -> Cost:
    """Tiles in the memory of the gradient of W, or in a matrix of some rows."""
    whole = request.rows <= request.features
    chunks = 1 if whole else math.ceil(request.rows / ROWS)
    matrix = 0 if whole else min(request.rows, ROWS) * request.classes * request.size
    weight = request.classes * request.features * request.size
    # the sum over several parts of the rows is in float32, next to the returned gradient
    wide = 4 * request.classes * request.features if not whole and request.size < 4 else 0
    return Cost(
        flops=products(request),
        moved=18 * request.logits
        + (0 if whole else 2 * weight * chunks)
        + 60 * request.rows * request.features,
        calls=40 + 25 * chunks * math.ceil(request.classes / TILE),
        peak=tile_bytes(request) + matrix + wide,
        buffers=1,
        buffer=matrix,
    )


def saved_softmax(request: Request) -> Cost:
    """One matrix of exponentials."""
    matrix = request.logits * request.size if request.gradient else 0
    return Cost(
        flops=products(request),
        moved=24 * request.logits + 60 * request.rows * request.features,
        calls=40 + 25 * math.ceil(request.classes / TILE),
        peak=matrix + tile_bytes(request),
        buffers=1,
        buffer=matrix,
    )


def chunked(request: Request) -> Cost:
    """One tile, and one more product."""
    width = tile_width(request.rows)
    tiles = math.ceil(request.classes / width)
    low = request.size if request.size < 4 else 0  # products of 16 bits, and their sum in float32
    return Cost(
        flops=products(request, backward=3),
        moved=(24 if request.gradient else 12) * request.logits
        + 60 * request.rows * request.features,
        calls=40 + 30 * tiles,
        peak=request.rows * min(width, request.classes) * (max(request.size, 4) + low)
        + of_rows(request),
    )


def triton_saved(request: Request) -> Cost:
    """One matrix of logits, read and written a few times; 12 bytes for each in 16 bits."""
    matrix = request.logits * request.size
    return Cost(
        flops=products(request),
        moved=6 * matrix if request.device == "cuda" else INTERPRETED * request.logits,
        calls=20,
        peak=matrix,
        buffers=1,
        buffer=matrix,
    )


def triton(request: Request) -> Cost:
    """No matrix of logits but a tile of the backward pass; products by our kernel are slower."""
    tile = request.rows * min(request.classes, triton_config.TILE) * request.size
    weight = request.classes * request.features * request.size
    return Cost(
        flops=1.2 * products(request, backward=3),
        moved=4 * weight if request.device == "cuda" else INTERPRETED * request.logits,
        calls=30 + 8 * math.ceil(request.classes / triton_config.TILE),
        peak=(tile if request.gradient else 0) + of_rows(request),
    )


def of_rows(request: Request) -> float:
    """Return the bytes of the features, their gradient and their target rows, in float32."""
    return 20.0 * request.rows * request.features


def tile_bytes(request: Request) -> float:
    """Return the bytes of the temporaries of a tile of classes."""
    rows, features = request.rows, request.features
    return 4.0 * (min(TILE, request.classes) * (rows + features) + 3 * rows * features)


def refuses_forward_mode(request: Request) -> str:
    """Refuse forward-mode differentiation: a custom operator would return a tangent of zero."""
    if "forward_mode" in request.options:
        return "forward-mode differentiation is under way, which only eager supports"
    return ""
