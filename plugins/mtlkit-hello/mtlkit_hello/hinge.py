"""The op `hinge`."""

from collections.abc import Mapping

import torch
from torch import Tensor

from mtlkit.ops import Cost, Implementation, Op, Request, Trial, choose, serves_all


def hinge(x: Tensor, implementation: str | Implementation | None = None) -> Tensor:
    """Return the squared hinge (N,) of each row of x (N, D)."""
    request = Request(len(x), x.shape[1], 1, x.dtype, x.device.type, x.requires_grad, "none")
    losses: Tensor = choose(HINGE, request, implementation).run(x)
    return losses


def reference(x: Tensor) -> Tensor:
    """Return the sum (N,) of the squared hinge max(0, 1 - x)^2 of each row of x (N, D)."""
    return (1 - x).clamp_min(0).square().sum(dim=1)


def cost(request: Request) -> Cost:
    """Return the cost of a call, for `mtlkit ops explain`."""
    return Cost(flops=0, moved=8 * request.rows * request.features, calls=4, peak=0)


def trials(rows: int, generator: torch.Generator) -> Mapping[str, Trial]:
    """Return small calls of the op, by which its implementations are compared."""
    x = torch.randn(rows, 3, generator=generator, dtype=torch.float64)
    return {"rows": Trial((x,), lambda name, x: hinge(x, name))}


HINGE = Op(
    "hello/hinge",
    hinge,
    Implementation("eager", "the definition", reference, serves_all, cost),
    trials=trials,
)
