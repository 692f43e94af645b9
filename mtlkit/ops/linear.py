"""The cross-entropy of linear logits, without their matrix if that is faster or smaller."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mtlkit.ops import by_negatives
from mtlkit.ops.by_negatives import Negatives
from mtlkit.ops.dispatch.choice import choose
from mtlkit.ops.dispatch.implementation import Implementation, Op, Request, serves_all
from mtlkit.ops.dispatch.timing import linear_timings
from mtlkit.ops.dispatch.trial import CLASSES, Trial, TrialInputs
from mtlkit.ops.kernels import arguments, costs
from mtlkit.ops.kernels.compiled import compiled_later
from mtlkit.ops.kernels.fused_grad import fused_grad_cross_entropy
from mtlkit.ops.kernels.grad_buffers import differentiable_once
from mtlkit.ops.kernels.tiles import Logits, accumulator
from mtlkit.ops.linear_call import NAME, Call


def linear_cross_entropy(
    x: Tensor,
    weight: Tensor,
    target: Tensor,
    bias: Tensor | None = None,
    *,
    class_weight: Tensor | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    logit_scale: float = 1.0,
    reduction: str = "mean",
    empty: str = "nan",
    implementation: str | Implementation | None = None,
) -> Tensor:
    """Cross-entropy of the logits z = `logit_scale` (x W^T + b), in float32 (float64 for float64).

    Shapes: x (N, D), `weight` (C, D), `target` (N,) in int64, `bias` and `class_weight` (C,); the
    result is (N,) for the reduction ``none``, and a number for ``sum`` and ``mean``. Rows whose
    target is `ignore_index` give 0 and no gradient. With w_n = `class_weight`[t_n] and smoothing e,

        l_n = w_n (1 - e) (lse_n - z_nt) + (e / C) sum_c class_weight_c (lse_n - z_nc),

    and the mean is sum_n l_n / sum_n w_n. A mean over no row is NaN as in torch, or 0 if `empty`
    is ``zero``. `implementation` is a name or an `Implementation`. `IndexError` for a target
    outside [0, C); `ImplementationError` if the chosen implementation cannot run.

    >>> x, weight, target = torch.zeros(2, 3), torch.ones(4, 3), torch.tensor([1, -100])
    >>> linear_cross_entropy(x, weight, target, reduction="none", implementation="chunked")
    tensor([1.3863, 0.0000])
    """
    arguments.check_matrix(NAME, "x", x)
    if not (arguments.head_fits(x, weight, bias) and arguments.target_fits(x, target)):
        arguments.check_head(NAME, x, weight, bias, ("weight", "bias"))
        arguments.check_label_type(NAME, "target", target, len(x))
        arguments.check_devices(NAME, x, target=target)
    arguments.check_options(NAME, reduction, label_smoothing)
    if empty not in ("nan", "zero"):
        raise ValueError(f"{NAME}: empty: expected one of nan, zero, got {empty!r}")
    if class_weight is not None:
        arguments.check_vector(NAME, "class_weight", class_weight, len(weight))
        arguments.check_devices(NAME, x, class_weight=class_weight)
    inputs = (x, weight, bias)
    cast_x, cast_weight, cast_bias = arguments.same_type(NAME, *inputs)
    assert cast_x is not None
    assert cast_weight is not None
    if logit_scale != 1:
        cast_x = cast_x * logit_scale
        cast_bias = None if cast_bias is None else cast_bias * logit_scale
    request = arguments.request_of(
        cast_x, len(weight), inputs, reduction, bias=bias is not None,
        class_weight=class_weight is not None, label_smoothing=label_smoothing > 0,
    )  # fmt: skip
    chosen = choose(LINEAR_CROSS_ENTROPY, request, implementation)
    call = Call(
        cast_x, cast_weight, cast_bias, target, class_weight, ignore_index, label_smoothing,
        reduction, empty, request.gradient,
    )  # fmt: skip
    with arguments.without_autocast(x):
        result: Tensor = chosen.run(call)
        return result


def reference(call: Call) -> Tensor:
    """Compute the formula from the matrix of logits."""
    logits = F.linear(call.x, call.weight, call.bias).to(accumulator(call.x.dtype))
    weight = None if call.class_weight is None else call.class_weight.to(logits.dtype)
    try:
        loss = F.cross_entropy(
            logits,
            call.target,
            weight=weight,
            ignore_index=call.ignore_index,
            label_smoothing=call.label_smoothing,
            reduction=call.torch_reduction,
        )
    except IndexError:
        call.check_target()  # torch has checked the labels already; this one names the row
        raise
    return call.divided(loss)


_compiled_reference = compiled_later(reference)


def _compiled(call: Call) -> Tensor:
    call.check_target()
    return _compiled_reference(call)


def _native(call: Call) -> Tensor:
    """Compute torch's op with chunks of up to 512 rows.

    By torch's default a chunk has few rows if there are many classes, and every chunk reads and
    writes all of W: several times eager's time at 10,000 classes.
    """
    call.check_target()
    options = torch.nn.LinearCrossEntropyOptions(
        allow_retain_graph=True, batch_chunk_size=min(max(len(call.x), 1), 512)
    )
    x, weight, bias = _once("native", call)
    loss = F.linear_cross_entropy(
        x,
        weight,
        call.target,
        linear_bias=bias,
        weight=call.class_weight,
        reduction=call.torch_reduction,
        ignore_index=call.ignore_index,
        options=options,
    )
    return call.divided(loss)


def _once(name: str, call: Call) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return x, W and b for an implementation that cannot be differentiated twice."""
    bias = None if call.bias is None else differentiable_once(name, call.bias)
    return differentiable_once(name, call.x), differentiable_once(name, call.weight), bias


def _fused_grad(call: Call) -> Tensor:
    if not call.gradient or len(call.x) == 0:
        return _by_negatives(by_negatives.chunked, call)
    call.check_target()
    weight = call.row_weight()
    valid = call.valid.to(weight.dtype)
    if call.reduction == "mean":
        divisor = call.divisor()
        weight, valid = weight / divisor, valid / divisor
    per_class = call.label_smoothing / len(call.weight)
    inputs = _once("fused-grad", call)
    total: Tensor
    total, *_ = fused_grad_cross_entropy(
        *(None if value is None else value.contiguous() for value in inputs),
        call.known_target(),
        weight * (1 - call.label_smoothing),
        valid * (per_class * call.class_sum()),
        [value is not None and value.requires_grad for value in inputs],
    )
    if call.label_smoothing == 0:
        return total
    smooth = torch.where(call.valid, per_class * valid * call.weighted_logits(), 0.0)
    return total - smooth.sum()


def _by_negatives(negatives: Negatives, call: Call) -> Tensor:
    """Compute the losses from the target's logit and the log-sum-exp of its negatives."""
    call.check_target()
    logits = Logits(call.x, call.weight, call.bias, call.known_target(), cosine=False)
    target_logit, negative_lse = negatives(logits, call.gradient)
    kept = call.row_weight() * (1 - call.label_smoothing)
    losses = -kept * F.logsigmoid(target_logit - negative_lse)
    if call.label_smoothing > 0:
        partition = torch.logaddexp(target_logit, negative_lse) * call.class_sum()
        per_class = call.label_smoothing / len(call.weight)
        losses = losses + per_class * (partition - call.weighted_logits())
    return call.reduced(torch.where(call.valid, losses, 0.0))


def _native_refuses(request: Request) -> str:
    if getattr(F, "linear_cross_entropy", None) is None:
        return f"torch {torch.__version__} has no F.linear_cross_entropy; it came with 2.13"
    if "label_smoothing" in request.options:
        return "torch's op has no label smoothing"
    if request.size < 4:
        return f"torch's op rounds the loss to {request.dtype}; the loss is to be float32"
    return costs.refuses_forward_mode(request)


def _fused_grad_refuses(request: Request) -> str:
    if request.reduction == "none":
        return "gradients in the forward pass need one number upstream; use reduction sum or mean"
    if request.dtype == torch.float16:
        return "gradients of a mean underflow in float16 before a loss scaler multiplies them"
    return costs.refuses_forward_mode(request)


def _trials(rows: int, generator: torch.Generator) -> Mapping[str, Trial]:
    """Return a call for each reduction, and for bias, class weights, smoothing and scale."""
    draw = TrialInputs(rows, generator)
    x, (weight, bias), target = draw.features(), draw.linear(CLASSES), draw.labels(CLASSES)
    class_weight = draw.normal(CLASSES).abs() + 0.1

    def call(
        options: Mapping[str, Any], name: str, x: Tensor, weight: Tensor, *bias: Tensor
    ) -> Tensor:
        return linear_cross_entropy(x, weight, target, *bias, implementation=name, **options)

    kinds: Mapping[str, Mapping[str, Any]] = {
        "none": {"reduction": "none"},
        "sum": {"reduction": "sum"},
        "mean": {"empty": "zero"},
        "without bias": {"reduction": "none"},
        "scaled": {"reduction": "none", "logit_scale": 2.5},
        "smooth": {"reduction": "none", "label_smoothing": 0.2},
        "smooth mean": {"label_smoothing": 0.2, "empty": "zero"},
        "weighted": {"class_weight": class_weight, "empty": "zero"},
    }
    return {
        name: Trial(
            (x, weight) if name == "without bias" else (x, weight, bias),
            partial(call, options),
            target == -100,
        )
        for name, options in kinds.items()
    }


LINEAR_CROSS_ENTROPY = Op(
    NAME,
    linear_cross_entropy,
    Implementation(
        "eager", "the definition: logits, then cross-entropy", reference, serves_all, costs.eager
    ),
    Implementation(
        "compiled", "the definition by torch.compile", _compiled, costs.refuses_forward_mode,
        costs.compiled, automatic=False,
    ),
    Implementation(
        "native", "torch's own op, 512 rows at a time", _native, _native_refuses, costs.native
    ),
    Implementation(
        "fused-grad", "gradients in the forward pass, in the memory of W's gradient", _fused_grad,
        _fused_grad_refuses, costs.fused_grad, per_row=False,
    ),
    *by_negatives.implementations(_by_negatives, cosine=False),
    trials=_trials,
    timings=partial(linear_timings, linear_cross_entropy),
)  # fmt: skip
