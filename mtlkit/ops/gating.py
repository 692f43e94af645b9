"""The gate of dynamic weights: a softmax over the features, averaged over the batch."""

from collections.abc import Iterator, Mapping
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from mtlkit.ops.dispatch.choice import choose
from mtlkit.ops.dispatch.implementation import Cost, Implementation, Op, Request, serves_all
from mtlkit.ops.dispatch.timing import Sizes, Timing, draw, draw_features, timing_of
from mtlkit.ops.dispatch.trial import Trial, TrialInputs
from mtlkit.ops.kernels import arguments
from mtlkit.ops.kernels.concatenated import concatenated_heads
from mtlkit.ops.kernels.costs import products, refuses_forward_mode
from mtlkit.ops.kernels.tiles import accumulator

NAME = "gate"


def gate(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    reduction: str = "mean",
    implementation: str | Implementation | None = None,
) -> Tensor:
    """Return the dynamic weights mu = (1/N) sum_n softmax(W x_n + b) (Yin & Liu, TIP 2018, eq. 7).

    Shapes: x (N, D), `weight` (K, D), `bias` (K,); the result is (K,) in float32, or the shares of
    each row (N, K) for the reduction ``none``. The gradient of sum_k mu_k L_k by a row's logit k is
    (1/N) p_k (L_k - sum_j p_j L_j): it depends on differences of losses, not on their size.

    >>> gate(torch.ones(2, 3), torch.zeros(4, 3))
    tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """
    arguments.check_matrix(NAME, "x", x)
    arguments.check_head(NAME, x, weight, bias, ("weight", "bias"))
    arguments.check_options(NAME, reduction)
    cast_x, cast_weight, cast_bias = arguments.same_type(NAME, x, weight, bias)
    assert cast_x is not None
    assert cast_weight is not None
    request = arguments.request_of(cast_x, len(weight), (x, weight, bias), reduction)
    chosen = choose(GATE, request, implementation)
    with arguments.without_autocast(x):
        shares: Tensor = chosen.run(cast_x, cast_weight, cast_bias)
        if reduction == "none":
            return shares
        return shares.sum(dim=0) if reduction == "sum" else shares.mean(dim=0)


def reference(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Compute the softmax of the logits (N, K)."""
    return F.linear(x, weight, bias).to(accumulator(x.dtype)).softmax(dim=1)


def _concatenated(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    none = torch.empty(0, len(x), dtype=torch.int64, device=x.device)
    offset = x.new_zeros(len(weight)) if bias is None else bias
    shares: Tensor = concatenated_heads(x.contiguous(), [weight], [offset], none, 0.0)[1]
    return shares.T


def _cost(passes: int, calls: int, buffers: int, request: Request) -> Cost:
    matrix = request.logits * 4
    moved, peak = passes * matrix, buffers * matrix
    return Cost(flops=products(request), moved=moved, calls=calls, peak=peak)


def _trials(rows: int, generator: torch.Generator) -> Mapping[str, Trial]:
    """Return calls for the task weights of each row, their sum, and without a bias."""
    samples = TrialInputs(rows, generator)
    inputs = (samples.features(), *samples.linear(4))

    def call(reduction: str, name: str, *inputs: Tensor) -> Tensor:
        return gate(*inputs, reduction=reduction, implementation=name)

    return {
        "none": Trial(inputs, partial(call, "none")),
        "sum": Trial(inputs, partial(call, "sum")),
        "without bias": Trial(inputs[:2], partial(call, "none")),
    }


def _timings(sizes: Sizes) -> Iterator[Timing]:
    """Yield the gate of four tasks."""
    for request in sizes._replace(classes=(4,)).requests():
        x, weight = draw_features(request), draw(request, 4, request.features)
        yield timing_of(request, partial(gate, x, weight), (x, weight))


GATE = Op(
    NAME,
    gate,
    Implementation("eager", "the definition", reference, serves_all, partial(_cost, 10, 8, 3)),
    Implementation(
        "concatenated", "task by task, over all rows at once", _concatenated, refuses_forward_mode,
        partial(_cost, 8, 40, 2),
    ),
    trials=_trials,
    timings=_timings,
)  # fmt: skip
