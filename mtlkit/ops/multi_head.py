"""Losses of several heads on the same features, their gate, and each head's gradient."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mtlkit.ops.dispatch.choice import choose
from mtlkit.ops.dispatch.implementation import Implementation, Op, serves_all
from mtlkit.ops.dispatch.timing import Sizes, Timing, draw, draw_features, draw_labels, timing_of
from mtlkit.ops.dispatch.trial import CLASSES, Trial, TrialInputs
from mtlkit.ops.kernels import arguments, head_costs
from mtlkit.ops.kernels.concatenated import concatenated_heads, heads_feature_gradients
from mtlkit.ops.kernels.costs import refuses_forward_mode
from mtlkit.ops.kernels.tiles import accumulator
from mtlkit.ops.triton.heads import refuses as triton_refuses
from mtlkit.ops.triton.heads import small_heads

NAME = "multi_head_cross_entropy"


class HeadLosses(NamedTuple):
    """Results of T heads for N rows.

    `losses` are (T,), or (T, N) unreduced; `feature_gradients` (T, N, D) are, if requested, the
    gradients of the (summed) losses with respect to the features, detached; `gate` (K,), or (N, K)
    unreduced, are the shares of a gate.
    """

    losses: Tensor
    feature_gradients: Tensor | None = None
    gate: Tensor | None = None


class MultiHeadCall(NamedTuple):
    """Checked arguments; if there is a gate, its weight and bias come last."""

    x: Tensor
    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]
    targets: tuple[Tensor, ...]
    ignore_index: int
    label_smoothing: float
    reduction: str
    feature_gradients: bool
    gated: bool

    def labels(self) -> tuple[Tensor, Tensor]:
        """Return the targets (T, N), class 0 where one is missing, and the mask of the present.

        `IndexError` for a target outside [0, C_t).
        """
        targets = torch.stack(self.targets)
        valid = targets != self.ignore_index
        known, ends = targets * valid, list(map(len, self.weights[: len(targets)]))
        arguments.check_head_labels(NAME, targets, known, ends, self.ignore_index)
        return known, valid

    def labeled(self) -> Tensor:
        """Return the divisor of the sum of each head's losses (T,)."""
        return (torch.stack(self.targets) != self.ignore_index).sum(dim=1).clamp_min(1)

    def row_weight(self, valid: Tensor) -> Tensor:
        """Return the weight of each loss (T, N) in the reduced one, 0 for missing ones."""
        valid = valid.to(accumulator(self.x.dtype))
        return valid / self.labeled().unsqueeze(1) if self.reduction == "mean" else valid

    def result(self, losses: Tensor, shares: Tensor | None) -> HeadLosses:
        """Reduce the losses (T, N), 0 where a target is missing, and the shares (K, N)."""
        if self.reduction == "none":
            return HeadLosses(losses, gate=None if shares is None else shares.T)
        total = losses.sum(dim=1)
        reduced = total / self.labeled() if self.reduction == "mean" else total
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
    implementation: str | Implementation | None = None,
) -> HeadLosses:
    """Compute the cross-entropy of each of T linear heads on the features x (N, D), unsummed.

    Shapes: `weights` (C_t, D), `biases` (C_t,), `targets` (N,) in int64; `gate` is the weight
    (K, D) and bias (K,) of a softmax over the features (Yin & Liu, TIP 2018, eq. 7). Losses are in
    float32. A mean is over the rows that have the head's label, and 0 if none has: a head
    without labels must not spoil the total. For a gradient-based weighting, `feature_gradients`
    returns what would cost a backward pass through every head. `IndexError` for a target outside
    [0, C_t).

    >>> x, heads = torch.zeros(2, 3), [torch.ones(4, 3), torch.ones(2, 3)]
    >>> labels = [torch.tensor([1, 3]), torch.tensor([0, -100])]
    >>> multi_head_cross_entropy(x, heads, labels).losses
    tensor([1.3863, 0.6931])
    """
    offsets: list[Tensor | None] = [None] * len(weights) if biases is None else list(biases)
    if len(weights) == 0 or not len(weights) == len(targets) == len(offsets):
        raise ValueError(
            f"{NAME}: expected a weight, a target and a bias (or None) for each of one or more "
            f"heads, got {len(weights)}, {len(targets)} and {len(offsets)}"
        )
    arguments.check_heads(NAME, x, weights, offsets)
    arguments.check_options(NAME, reduction, label_smoothing)
    arguments.check_head_targets(NAME, x, targets)
    matrices = list(weights)
    if gate is not None:
        arguments.check_head(NAME, x, *gate, ("gate", "the gate's bias"))
        matrices.append(gate[0])
        offsets.append(gate[1])
    cast_x, cast_matrices, cast_offsets = arguments.heads_of_one_type(NAME, x, matrices, offsets)
    request = arguments.request_of(
        cast_x, sum(map(len, matrices)), (x, *matrices, *offsets), reduction, len(matrices)
    )
    call = MultiHeadCall(
        cast_x, cast_matrices, cast_offsets, tuple(targets), ignore_index, label_smoothing,
        reduction, feature_gradients, gate is not None,
    )  # fmt: skip
    chosen = choose(MULTI_HEAD_CROSS_ENTROPY, request, implementation)
    with arguments.without_autocast(x):
        result: HeadLosses = chosen.run(call)
        return result


def reference(call: MultiHeadCall) -> HeadLosses:
    """Compute head by head, with a backward pass through each if gradients are requested."""
    x = call.x
    if call.feature_gradients and not x.requires_grad:
        x = x.detach().requires_grad_()
    with torch.set_grad_enabled(call.feature_gradients or torch.is_grad_enabled()):
        logits = [
            F.linear(x, weight, bias).to(accumulator(x.dtype))
            for weight, bias in zip(call.weights, call.biases, strict=True)
        ]
        try:
            losses = torch.stack([
                F.cross_entropy(
                    head_logits, target, ignore_index=call.ignore_index, reduction="none",
                    label_smoothing=call.label_smoothing,
                )
                for head_logits, target in zip(logits, call.targets, strict=False)  # without gate
            ])  # fmt: skip
        except IndexError:
            call.labels()  # torch has checked the labels already; this one names the row
            raise
        shares = logits[-1].softmax(dim=1).T if call.gated else None
        result = call.result(losses, shares)  # torch's losses are 0 where a target is missing
        if not call.feature_gradients:
            return result
        scalars = result.losses if call.reduction != "none" else result.losses.sum(dim=1)
        gradients = [torch.autograd.grad(loss, x, retain_graph=True)[0] for loss in scalars]
    return result._replace(feature_gradients=torch.stack(gradients))


def _kept_log_probabilities(heads: Callable[..., list[Tensor]], call: MultiHeadCall) -> HeadLosses:
    """Compute by an operator that returns losses and shares, and keeps the log-probabilities."""
    weights = list(call.weights)
    known, valid = call.labels()
    losses, shares, *kept = heads(
        call.x.contiguous(), weights, list(call.biases), known, call.label_smoothing
    )
    known_losses = torch.where(valid, losses, 0.0)
    result = call.result(known_losses, shares if call.gated else None)
    if not call.feature_gradients:
        return result
    with torch.no_grad():
        gradients = heads_feature_gradients(
            weights, known, call.label_smoothing, kept, call.row_weight(valid)
        )
    return result._replace(feature_gradients=gradients)


def _trials(rows: int, generator: torch.Generator) -> Mapping[str, Trial]:
    """Return calls of three heads of different sizes and a gate; all results are one vector."""
    samples = TrialInputs(rows, generator)
    sizes = (2, 7, CLASSES)
    heads, targets = samples.linear(*sizes), [samples.labels(size) for size in sizes]
    inputs = (samples.features(), *heads, *samples.linear(4))

    def call(options: Mapping[str, Any], name: str, x: Tensor, *parts: Tensor) -> Tensor:
        return _losses_and_gate(
            x, parts[0:6:2], targets, parts[1:6:2], gate=(parts[6], parts[7]), implementation=name,
            **options,
        )  # fmt: skip

    return {
        "none": Trial(inputs, partial(call, {"reduction": "none"})),
        "sum": Trial(inputs, partial(call, {"reduction": "sum"})),
        "smooth": Trial(inputs, partial(call, {"reduction": "none", "label_smoothing": 0.2})),
    }


FEW = (13, 20, 7)
"""Classes of the small heads that are measured, alone and next to a larger head."""


def _timings(sizes: Sizes) -> Iterator[Timing]:
    """Yield small heads with a gate, alone and with a head of each number of classes."""
    for classes in (FEW, *((count, *FEW) for count in sizes.classes)):
        whole = sum(classes) + len(classes)  # the gate is one more head
        for request in sizes._replace(classes=(whole,)).requests(len(classes) + 1):
            x, gate = draw_features(request), draw(request, len(classes), request.features)
            weights = [draw(request, count, request.features) for count in classes]
            targets = [draw_labels(request, count) for count in classes]
            loss = partial(_losses_and_gate, x, weights, targets, gate=(gate, None))
            yield timing_of(request, loss, (x, *weights))


def _losses_and_gate(*inputs: Any, **options: Any) -> Tensor:
    """Return the losses and the shares of the gate as one vector."""
    result = multi_head_cross_entropy(*inputs, **options)
    assert result.gate is not None
    return torch.cat([result.losses.flatten(), result.gate.flatten()])


MULTI_HEAD_CROSS_ENTROPY = Op(
    NAME,
    multi_head_cross_entropy,
    Implementation(
        "eager", "the definition: one head after the other", reference, serves_all,
        head_costs.eager,
    ),
    Implementation(
        "concatenated", "heads of few classes in one product",
        partial(_kept_log_probabilities, concatenated_heads), refuses_forward_mode,
        head_costs.concatenated,
    ),
    Implementation(
        "triton", "one kernel for all heads and the gate",
        partial(_kept_log_probabilities, small_heads), triton_refuses, head_costs.triton,
    ),
    trials=_trials,
    timings=_timings,
)  # fmt: skip
