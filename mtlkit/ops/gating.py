"""The gate of dynamic weights: a softmax over the features, averaged over the batch."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mtlkit.ops.dispatch.choice import choose
from mtlkit.ops.dispatch.implementation import Cost, Implementation, Op, Request, serves_all
from mtlkit.ops.kernels.arguments import (
    check_devices,
    check_matrix,
    check_reduction,
    check_vector,
    check_weight,
    has_tangent,
    same_type,
    wants_gradient,
    without_autocast,
)
from mtlkit.ops.kernels.concatenated import heads_joined
from mtlkit.ops.kernels.costs import products, refuses_forward_mode
from mtlkit.ops.kernels.tiles import accumulator

NAME = "gate"


def gate(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    reduction: str = "mean",
    implementation: str | None = None,
) -> Tensor:
    """The dynamic weights mu = (1/N) sum_n softmax(W x_n + b) (Yin & Liu, TIP 2018, eq. 7).

    Shapes: x (N, D), `weight` (K, D), `bias` (K,); the result is (K,) in float32, or the shares of
    each row (N, K) for the reduction ``none``. The gradient of sum_k mu_k L_k by a row's logit k is
    (1/N) p_k (L_k - sum_j p_j L_j): it sees how losses differ, not how large they are.

    >>> gate(torch.ones(2, 3), torch.zeros(4, 3))
    tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """
    check_matrix(NAME, "x", x)
    check_weight(NAME, "weight", weight, x)
    check_reduction(NAME, reduction)
    if bias is not None:
        check_vector(NAME, "bias", bias, len(weight))
    check_devices(NAME, x, weight=weight, bias=bias)
    own_x, own_weight, own_bias = same_type(NAME, x, weight, bias)
    assert own_x is not None
    assert own_weight is not None
    request = Request(
        len(x), x.shape[1], len(weight), own_x.dtype, x.device.type,
        wants_gradient(x, weight, bias), reduction, 1,
        ("forward_mode",) if has_tangent(x, weight, bias) else (),
    )  # fmt: skip
    chosen = choose(GATE, request, implementation)
    with without_autocast(x):
        shares: Tensor = chosen.run(own_x, own_weight, own_bias)
        if reduction == "none":
            return shares
        return shares.sum(dim=0) if reduction == "sum" else shares.mean(dim=0)


def by_definition(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The softmax of the logits (N, K)."""
    return F.linear(x, weight, bias).to(accumulator(x.dtype)).softmax(dim=1)


def _joined(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    none = torch.empty(0, len(x), dtype=torch.int64, device=x.device)
    offset = x.new_zeros(len(weight)) if bias is None else bias
    shares: Tensor
    _, shares, *_ = heads_joined(x.contiguous(), [weight], [offset], none, 0.0)
    return shares.T


def _eager_cost(request: Request) -> Cost:
    matrix = request.logits * 4
    return Cost(flops=products(request), moved=10 * matrix, calls=8, peak=3 * matrix)


def _joined_cost(request: Request) -> Cost:
    matrix = request.logits * 4
    return Cost(flops=products(request), moved=8 * matrix, calls=40, peak=2 * matrix)


GATE = Op(
    NAME,
    "the shares of tasks by a softmax over the features",
    Implementation("eager", "the definition", by_definition, serves_all, _eager_cost),
    Implementation(
        "joined", "task by task, over all rows at once", _joined, refuses_forward_mode, _joined_cost
    ),
)
