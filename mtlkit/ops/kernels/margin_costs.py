"""Costs of a cross-entropy of cosines: those of linear logits, plus the unit vectors."""

from collections.abc import Callable

from mtlkit.ops.dispatch.implementation import Cost, Request
from mtlkit.ops.kernels import costs

OWN_CACHE = 1e6
"""Bytes of the cache of one core."""


def with_unit_vectors(
    cost: Callable[[Request], Cost], passes: float, tile: int, request: Request
) -> Cost:
    """Return the cost of a cross-entropy plus that of normalizing W in some passes over it.

    Three matrices of a tile of its rows exist at once: unit vectors, their gradient along W, and
    copies in float32 if their norms have another type.
    """
    plain = cost(request)
    held = 3.0 * min(tile, request.classes) * request.features * max(request.size, 4)
    return plain._replace(
        moved=plain.moved + passes * request.classes * request.features * request.size,
        peak=plain.peak + held,
    )


def eager(request: Request) -> Cost:
    """Add unit vectors of all of W, and a copy of the logits that holds the target's.

    Autograd normalizes W in 20 passes over matrices of its size, some of which a cache absorbs.
    """
    weight = request.classes * request.features * request.size
    passes = 20 if weight > OWN_CACHE else 9
    plain = with_unit_vectors(costs.eager, passes, 0, request)
    return plain._replace(
        peak=2 * plain.peak + 2 * weight,
        buffers=plain.buffers + 2,
        moved=plain.moved + 24 * request.logits,
    )


def compiled(request: Request) -> Cost:
    """Return the cost of eager, in a graph."""
    return eager(request)._replace(calls=60)
