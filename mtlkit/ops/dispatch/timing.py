"""Calls of an op at given sizes, as in a training step, to measure implementations."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

from mtlkit.ops.dispatch.implementation import Request

REDUCTIONS = ("mean", "none")
"""The reductions that training steps use."""


class Timing(NamedTuple):
    """A call, by the name of an implementation, that runs forward and backward once."""

    request: Request
    call: Callable[[str], None]


class Sizes(NamedTuple):
    """Sizes at which ops are measured: each combination of `rows` and `classes`."""

    rows: Sequence[int]
    features: int
    classes: Sequence[int]
    dtype: torch.dtype = torch.float32
    device: str = "cpu"

    def requests(self, parts: int = 1) -> Iterator[Request]:
        """Yield a request for each combination of rows, classes and reduction."""
        for rows, classes, reduction in product(self.rows, self.classes, REDUCTIONS):
            yield self.request(rows, classes, reduction, parts)

    def request(self, rows: int, classes: int, reduction: str, parts: int = 1) -> Request:
        """Return the request of one training step."""
        return Request(
            rows, self.features, classes, self.dtype, self.device, True, reduction, parts
        )


def draw(request: Request, *size: int) -> Tensor:
    """Return a random tensor of the request's type that requires a gradient."""
    numbers = torch.randn(*size, device=request.device) * 0.05
    return numbers.to(request.dtype).requires_grad_()


def draw_features(request: Request) -> Tensor:
    """Return random features (N, D)."""
    return draw(request, request.rows, request.features)


def draw_labels(request: Request, classes: int) -> Tensor:
    """Return random labels (N,)."""
    return torch.randint(classes, (request.rows,), device=request.device)


def linear_timings(function: Callable[..., Tensor], sizes: Sizes) -> Iterator[Timing]:
    """Yield the calls of a loss of features, one weight matrix and labels."""
    for request in sizes.requests():
        x, weight = draw_features(request), draw(request, request.classes, request.features)
        target = draw_labels(request, request.classes)
        yield timing_of(request, partial(function, x, weight, target), (x, weight))


def timing_of(request: Request, loss: Callable[..., Tensor], inputs: Sequence[Tensor]) -> Timing:
    """Return the call of a `loss` and of its backward pass to the `inputs`."""

    def call(name: str) -> None:
        result = loss(reduction=request.reduction, implementation=name)
        torch.autograd.grad(result.sum(), inputs, allow_unused=True)

    return Timing(request, call)
