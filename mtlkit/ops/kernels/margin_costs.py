"""What the ways to compute a cross-entropy of cosines cost: as for logits, and unit vectors."""

import math
from collections.abc import Callable

from mtlkit.ops.dispatch.implementation import Cost, Request
from mtlkit.ops.kernels import costs
from mtlkit.ops.kernels.chunked import tile_width
from mtlkit.ops.kernels.saved_softmax import TILE
from mtlkit.ops.triton import config
from mtlkit.ops.triton import saved as by_logits


def _with_unit_vectors(
    cost: Callable[[Request], Cost], passes: float, tile: int, request: Request
) -> Cost:
    """The cost of a cross-entropy, and that of normalising W in so many passes over it.

    Of a tile of its rows there are three matrices at once: unit vectors, what is along them, and
    copies in float32 where their lengths have another type.
    """
    found = cost(request)
    held = 3.0 * min(tile, request.classes) * request.features * max(request.size, 4)
    return found._replace(
        moved=found.moved + passes * request.classes * request.features * request.size,
        peak=found.peak + held,
    )


def eager(request: Request) -> Cost:
    """As for logits, with unit vectors held beside W and the target's logit set in a copy."""
    found = _with_unit_vectors(costs.eager, 9, 0, request)
    weight = request.classes * request.features * request.size
    return found._replace(
        peak=2 * found.peak + 2 * weight,
        buffers=found.buffers + 2,
        moved=found.moved + 24 * request.logits,
    )


def compiled(request: Request) -> Cost:
    """As eager, in a graph."""
    return eager(request)._replace(calls=60)


def stored(request: Request) -> Cost:
    """As for logits, and unit vectors of a tile."""
    return _with_unit_vectors(costs.stored, 6, TILE, request)


def classes(request: Request) -> Cost:
    """As for logits, and unit vectors of a tile."""
    return _with_unit_vectors(costs.classes, 6, tile_width(request.rows), request)


def triton_logits(request: Request) -> Cost:
    """As for logits; unit rows are made by tiles, each by some kernels in both passes."""
    tiles = math.ceil(request.classes / by_logits.TILE)
    found = _with_unit_vectors(costs.triton_logits, 4, by_logits.TILE, request)
    return found._replace(calls=found.calls + 16 * tiles)


def triton(request: Request) -> Cost:
    """As for logits, and unit vectors of a tile of the backward pass."""
    return _with_unit_vectors(costs.triton, 4, config.TILE, request)
