"""The losses of several heads on the same features, their gate, and each head's own gradient."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mtlkit.ops.dispatch.choice import choose
from mtlkit.ops.dispatch.implementation import Cost, Implementation, Op, Request, serves_all
from mtlkit.ops.kernels.arguments import (
    check_devices,
    check_heads,
    check_label_type,
    check_labels,
    check_reduction,
    check_smoothing,
    check_vector,
    check_weight,
    has_tangent,
    heads_of_one_type,
    wants_gradient,
    without_autocast,
)
from mtlkit.ops.kernels.concatenated import FEW, heads_feature_gradients, heads_joined
from mtlkit.ops.kernels.costs import CACHED, INTERPRETED, products, refuses_forward_mode
from mtlkit.ops.kernels.tiles import accumulator
from mtlkit.ops.triton.heads import refuses as triton_refuses
from mtlkit.ops.triton.heads import small_heads

NAME = "multi_head_cross_entropy"


class HeadLosses(NamedTuple):
    """What T heads say of N rows.

    `losses` are (T,), or (T, N) unreduced; `feature_gradients` (T, N, D) are, where asked for, the
    gradients of the (summed) losses with respect to the features, detached; `gate` (K,), or (N, K)
    unreduced, are the shares of a gate.
    """

    losses: Tensor
    feature_gradients: Tensor | None = None
    gate: Tensor | None = None


class Call(NamedTuple):
    """The arguments, checked; where there is a gate, its weight and bias come last."""

    x: Tensor
    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]
    targets: Tensor
    valid: Tensor  # which targets are there (T, N)
    known: Tensor  # the targets, class 0 where there is none (T, N)
    ignore_index: int
    label_smoothing: float
    reduction: str
    feature_gradients: bool
    gated: bool

    def labelled(self) -> Tensor:
        """By what the sum of each head's losses is divided (T,)."""
        return self.valid.sum(dim=1).clamp_min(1)

    def row_weight(self) -> Tensor:
        """How much each loss (T, N) counts in the reduced one; missing ones not at all."""
        valid = self.valid.to(accumulator(self.x.dtype))
        return valid / self.labelled().unsqueeze(1) if self.reduction == "mean" else valid

    def result(self, losses: Tensor, shares: Tensor | None) -> HeadLosses:
        """The losses (T, N), 0 where a target is missing, and shares (K, N), reduced as asked."""
        if self.reduction == "none":
            return HeadLosses(losses, gate=None if shares is None else shares.T)
        total = losses.sum(dim=1)
        reduced = total / self.labelled() if self.reduction == "mean" else total
        return HeadLosses(reduced, gate=None if shares is None else shares.mean(dim=1))


def multi_head_cross_entropy(
    x: Tensor,
    weights: Sequence[Tensor],
    targets: Sequence[Tensor],
    biases: Sequence[Tensor | None] | None = None,
    *,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
    feature_gradients: bool = False,
    gate: tuple[Tensor, Tensor | None] | None = None,
    implementation: str | None = None,
) -> HeadLosses:
    """The cross-entropy of each of T linear heads on the features x (N, D), never their sum.

    Shapes: `weights` (C_t, D), `biases` (C_t,), `targets` (N,) in int64; `gate` is the weight
    (K, D) and bias (K,) of a softmax over the features (Yin & Liu, TIP 2018, eq. 7). Losses are in
    float32. A mean is over the rows that have the head's label, and 0 where none has: a head
    without labels must not spoil the total. For a gradient-based weighting, `feature_gradients`
    gives what would cost a backward pass through every head. `IndexError` for a target outside
    [0, C_t).

    >>> x, heads = torch.zeros(2, 3), [torch.ones(4, 3), torch.ones(2, 3)]
    >>> labels = [torch.tensor([1, 3]), torch.tensor([0, -100])]
    >>> multi_head_cross_entropy(x, heads, labels).losses
    tensor([1.3863, 0.6931])
    """
    call, request = _checked(
        x, weights, targets, biases, ignore_index, label_smoothing, reduction, feature_gradients,
        gate,
    )  # fmt: skip
    chosen = choose(MULTI_HEAD_CROSS_ENTROPY, request, implementation)
    with without_autocast(x):
        found: HeadLosses = chosen.run(call)
        return found


def _checked(
    x: Tensor,
    weights: Sequence[Tensor],
    targets: Sequence[Tensor],
    biases: Sequence[Tensor | None] | None,
    ignore_index: int,
    label_smoothing: float,
    reduction: str,
    feature_gradients: bool,
    gate: tuple[Tensor, Tensor | None] | None,
) -> tuple[Call, Request]:
    """The call, and what is known of it before it runs."""
    offsets = [None] * len(weights) if biases is None else list(biases)
    if len(weights) == 0 or not len(weights) == len(targets) == len(offsets):
        raise ValueError(
            f"{NAME}: expected a weight, a target and a bias (or None) for each of one or more "
            f"heads, found {len(weights)}, {len(targets)} and {len(offsets)}"
        )
    check_heads(NAME, x, weights, offsets)
    check_reduction(NAME, reduction)
    check_smoothing(NAME, label_smoothing)
    for head, target in enumerate(targets):
        check_label_type(NAME, f"targets[{head}]", target, len(x))
        check_devices(NAME, x, **{f"targets[{head}]": target})
    stacked = torch.stack(list(targets))
    valid = stacked != ignore_index
    known = stacked * valid
    _check_targets(stacked, known, [len(weight) for weight in weights], ignore_index)
    matrices = [*weights, *([] if gate is None else [gate[0]])]
    offsets += [] if gate is None else [gate[1]]
    if gate is not None:
        check_weight(NAME, "gate", gate[0], x)
        if gate[1] is not None:
            check_vector(NAME, "the gate's bias", gate[1], len(gate[0]))
        check_devices(NAME, x, gate=gate[0], **{"the gate's bias": gate[1]})
    given = [*matrices, *offsets]
    gradient = wants_gradient(x, *given)
    own_x, own_matrices, own_offsets = heads_of_one_type(NAME, x, matrices, offsets)
    options = ("forward_mode",) if has_tangent(x, *given) else ()
    request = Request(
        len(x), x.shape[1], sum(map(len, matrices)), own_x.dtype, x.device.type, gradient,
        reduction, len(matrices), options,
    )  # fmt: skip
    call = Call(
        own_x, own_matrices, own_offsets, stacked, valid, known, ignore_index, label_smoothing,
        reduction, feature_gradients, gate is not None,
    )  # fmt: skip
    return call, request


def _check_targets(targets: Tensor, known: Tensor, ends: list[int], missing: int) -> None:
    """`IndexError` for a target (T, N) outside [0, end) of its head; one look where all is well.

    `known` are the same with a class where one is missing.
    """
    if targets.device.type != "cpu" or torch.compiler.is_compiling():
        # the device's own assertion, with few kernels: it must not wait
        inside = torch.stack([own.clamp(0, end - 1) for own, end in zip(known, ends, strict=True)])
        torch._assert_async(
            (known == inside).all(), f"{NAME}: targets: a label is outside its head's classes"
        )
        return
    if targets.numel():
        lowest, highest = torch.aminmax(targets, dim=1)
        if lowest.min() >= 0 and all(map(int.__lt__, highest.tolist(), ends)):
            return
    for head, (target, end) in enumerate(zip(targets, ends, strict=True)):
        check_labels(NAME, f"targets[{head}]", target, end, missing)


def by_definition(call: Call) -> HeadLosses:
    """Head by head, and a backward pass through each where its gradient is asked for."""
    x = call.x
    if call.feature_gradients and not x.requires_grad:
        x = x.detach().requires_grad_()
    with (
        torch.enable_grad()
        if call.feature_gradients
        else torch.set_grad_enabled(torch.is_grad_enabled())
    ):
        logits = [
            F.linear(x, weight, bias).to(accumulator(x.dtype))
            for weight, bias in zip(call.weights, call.biases, strict=True)
        ]
        losses = torch.stack([
            F.cross_entropy(
                own, target, ignore_index=call.ignore_index, reduction="none",
                label_smoothing=call.label_smoothing,
            )
            for own, target in zip(logits, call.targets, strict=False)  # the gate has none
        ])  # fmt: skip
        shares = logits[-1].softmax(dim=1).T if call.gated else None
        found = call.result(losses, shares)  # torch's are 0 where there is no target
        if not call.feature_gradients:
            return found
        each = found.losses if call.reduction != "none" else found.losses.sum(dim=1)
        gradients = [torch.autograd.grad(loss, x, retain_graph=True)[0] for loss in each]
    return found._replace(feature_gradients=torch.stack(gradients))


def _joined(heads: Callable[..., list[Tensor]], call: Call) -> HeadLosses:
    """By an op that gives losses and shares, and keeps the log-probabilities."""
    weights = list(call.weights)
    losses, shares, *kept = heads(
        call.x.contiguous(), weights, list(call.biases), call.known, call.label_smoothing
    )
    known_losses = torch.where(call.valid, losses, 0.0)
    found = call.result(known_losses, shares if call.gated else None)
    if not call.feature_gradients:
        return found
    with torch.no_grad():
        gradients = heads_feature_gradients(
            weights, call.known, call.label_smoothing, kept, call.row_weight()
        )
    return found._replace(feature_gradients=gradients)


def _eager_cost(request: Request) -> Cost:
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


def _joined_cost(request: Request) -> Cost:
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


def _triton_cost(request: Request) -> Cost:
    traffic = 1.0 if request.device == "cuda" else INTERPRETED
    return Cost(
        flops=products(request),
        moved=traffic * (3 * request.rows * request.features * request.size + 12 * request.logits),
        calls=8 + 2 * request.parts,
        peak=8 * request.logits,
    )


MULTI_HEAD_CROSS_ENTROPY = Op(
    NAME,
    "the cross-entropies of several heads, the gradient of each at the features, and a gate",
    Implementation(
        "eager", "the definition: one head after the other", by_definition, serves_all, _eager_cost
    ),
    Implementation(
        "joined", "heads of few classes in one product", partial(_joined, heads_joined),
        refuses_forward_mode, _joined_cost,
    ),
    Implementation(
        "triton", "one kernel for all heads and the gate", partial(_joined, small_heads),
        triton_refuses, _triton_cost,
    ),
)  # fmt: skip
