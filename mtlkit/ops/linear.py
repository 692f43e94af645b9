"""The cross-entropy of linear logits, without their matrix where that pays."""

from collections.abc import Callable
from functools import cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor

from mtlkit.ops.dispatch.choice import choose
from mtlkit.ops.dispatch.implementation import Implementation, Op, Request, serves_all
from mtlkit.ops.kernels import costs
from mtlkit.ops.kernels.arguments import (
    check_devices,
    check_label_type,
    check_matrix,
    check_reduction,
    check_smoothing,
    check_vector,
    check_weight,
    has_tangent,
    same_type,
    wants_gradient,
    without_autocast,
)
from mtlkit.ops.kernels.chunked import rivals_by_classes
from mtlkit.ops.kernels.fused_grad import linear_cross_entropy_by_rows
from mtlkit.ops.kernels.grad_buffers import differentiable_once
from mtlkit.ops.kernels.saved_softmax import rivals_stored
from mtlkit.ops.kernels.tiles import accumulator
from mtlkit.ops.linear_call import NAME, Call
from mtlkit.ops.triton.linear import rivals_by_triton
from mtlkit.ops.triton.saved import rivals_of_logits
from mtlkit.ops.triton.support import refuses as triton_refuses


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
    implementation: str | None = None,
) -> Tensor:
    """Cross-entropy of the logits z = `logit_scale` (x W^T + b), in float32 (float64 for float64).

    Shapes: x (N, D), `weight` (C, D), `target` (N,) in int64, `bias` and `class_weight` (C,); the
    result is (N,) for the reduction ``none``, and a number for ``sum`` and ``mean``. Rows whose
    target is `ignore_index` give 0 and no gradient. With w_n = `class_weight`[t_n] and smoothing e,

        l_n = w_n (1 - e) (lse_n - z_nt) + (e / C) sum_c class_weight_c (lse_n - z_nc),

    and the mean is sum_n l_n / sum_n w_n. A mean over no row is NaN as in torch, or 0 where `empty`
    is ``zero``. `IndexError` for a target outside [0, C); `ImplementationError` where the chosen
    implementation cannot run.

    >>> x, weight, target = torch.zeros(2, 3), torch.ones(4, 3), torch.tensor([1, -100])
    >>> linear_cross_entropy(x, weight, target, reduction="none", implementation="classes")
    tensor([1.3863, 0.0000])
    """
    check_matrix(NAME, "x", x)
    check_weight(NAME, "weight", weight, x)
    check_label_type(NAME, "target", target, len(x))
    check_reduction(NAME, reduction)
    if empty not in ("nan", "zero"):
        raise ValueError(f"{NAME}: empty: expected one of nan, zero, found {empty!r}")
    check_smoothing(NAME, label_smoothing)
    for name, value in (("bias", bias), ("class_weight", class_weight)):
        if value is not None:
            check_vector(NAME, name, value, len(weight))
    check_devices(NAME, x, weight=weight, target=target, bias=bias, class_weight=class_weight)
    options = {
        "bias": bias is not None,
        "class_weight": class_weight is not None,
        "label_smoothing": label_smoothing > 0,
        "forward_mode": has_tangent(x, weight, bias),
    }
    own_x, own_weight, own_bias = same_type(NAME, x, weight, bias)
    assert own_x is not None
    assert own_weight is not None
    if logit_scale != 1:
        own_x = own_x * logit_scale
        own_bias = None if own_bias is None else own_bias * logit_scale
    gradient = wants_gradient(x, weight, bias)
    request = Request(
        len(x), x.shape[1], len(weight), own_x.dtype, x.device.type, gradient, reduction, 1,
        tuple(name for name, given in options.items() if given),
    )  # fmt: skip
    chosen = choose(LINEAR_CROSS_ENTROPY, request, implementation)
    call = Call(
        own_x, own_weight, own_bias, target, class_weight, ignore_index, label_smoothing,
        reduction, empty, gradient,
    )  # fmt: skip
    with without_autocast(x):
        result: Tensor = chosen.run(call)
        return result


def by_definition(call: Call) -> Tensor:
    """The formula, by way of the matrix of logits."""
    logits = F.linear(call.x, call.weight, call.bias).to(accumulator(call.x.dtype))
    weight = None if call.class_weight is None else call.class_weight.to(logits.dtype)
    by_torch = call.reduction if call.empty == "nan" else "sum"
    if call.reduction == "none":
        by_torch = "none"
    try:
        found = F.cross_entropy(
            logits,
            call.target,
            weight=weight,
            ignore_index=call.ignore_index,
            label_smoothing=call.label_smoothing,
            reduction=by_torch,
        )
    except IndexError:
        call.check_target()  # torch has looked at the labels already; this one names the row
        raise
    whole: Tensor = found / call.divisor() if by_torch != call.reduction else found
    return whole


@cache
def _compiled_definition() -> Callable[[Call], Tensor]:
    return torch.compile(by_definition)


def _compiled(call: Call) -> Tensor:
    call.check_target()
    found: Tensor = _compiled_definition()(call)
    return found


def _native(call: Call) -> Tensor:
    """torch's op, told not to cut the batch into rows of its own choice.

    Its rule gives a few rows to each chunk where there are many classes, and every chunk reads and
    writes all of W: several times eager's time at 10,000 classes.
    """
    call.check_target()
    options = torch.nn.LinearCrossEntropyOptions(
        allow_retain_graph=True, batch_chunk_size=min(max(len(call.x), 1), 512)
    )
    by_torch = call.reduction if call.empty == "nan" or call.reduction == "none" else "sum"
    x, weight, bias = _once("native", call)
    found = F.linear_cross_entropy(
        x,
        weight,
        call.target,
        linear_bias=bias,
        weight=call.class_weight,
        reduction=by_torch,
        ignore_index=call.ignore_index,
        options=options,
    )
    whole: Tensor = found / call.divisor() if by_torch != call.reduction else found
    return whole


def _once(name: str, call: Call) -> tuple[Tensor, Tensor, Tensor | None]:
    """x, W and b for an implementation that cannot be differentiated twice."""
    bias = None if call.bias is None else differentiable_once(name, call.bias)
    return differentiable_once(name, call.x), differentiable_once(name, call.weight), bias


def _rows(call: Call) -> Tensor:
    if not call.gradient or len(call.x) == 0:
        return _by_rivals(_classes_rivals, call)
    call.check_target()
    weight = call.row_weight()
    valid = call.valid.to(weight.dtype)
    if call.reduction == "mean":
        divisor = call.divisor()
        weight, valid = weight / divisor, valid / divisor
    each = call.label_smoothing / len(call.weight)
    inputs = _once("rows", call)
    total: Tensor
    total, *_ = linear_cross_entropy_by_rows(
        *(None if each is None else each.contiguous() for each in inputs),
        call.known_target(),
        weight * (1 - call.label_smoothing),
        valid * (each * call.class_sum()),
        [value is not None and value.requires_grad for value in inputs],
    )
    if call.label_smoothing == 0:
        return total
    smooth = torch.where(call.valid, each * valid * call.weighted_logits(), 0.0)
    return total - smooth.sum()


def _by_rivals(rivals: Callable[[Call], tuple[Tensor, Tensor]], call: Call) -> Tensor:
    """The losses from the target's logit and the log-sum-exp of its rivals."""
    call.check_target()
    target_logit, others = rivals(call)
    losses = -call.row_weight() * (1 - call.label_smoothing) * F.logsigmoid(target_logit - others)
    if call.label_smoothing > 0:
        partition = torch.logaddexp(target_logit, others) * call.class_sum()
        each = call.label_smoothing / len(call.weight)
        losses = losses + each * (partition - call.weighted_logits())
    return call.reduced(torch.where(call.valid, losses, 0.0))


def _classes_rivals(call: Call) -> tuple[Tensor, Tensor]:
    found: tuple[Tensor, Tensor] = rivals_by_classes(
        call.x.contiguous(), call.weight.contiguous(), call.bias, call.known_target(), False
    )
    return found


def _stored_rivals(call: Call) -> tuple[Tensor, Tensor]:
    if not call.gradient:
        return _classes_rivals(call)
    target_logit: Tensor
    rivals: Tensor
    target_logit, rivals, *_ = rivals_stored(
        call.x.contiguous(), call.weight.contiguous(), call.bias, call.known_target(), False
    )
    return target_logit, rivals


def _triton_logits_rivals(call: Call) -> tuple[Tensor, Tensor]:
    target_logit: Tensor
    rivals: Tensor
    target_logit, rivals, _ = rivals_of_logits(
        call.x.contiguous(), call.weight.contiguous(), call.bias, call.known_target(), False
    )
    return target_logit, rivals


def _triton_rivals(call: Call) -> tuple[Tensor, Tensor]:
    found: tuple[Tensor, Tensor] = rivals_by_triton(
        call.x.contiguous(), call.weight.contiguous(), call.bias, call.known_target(), False
    )
    return found


def _native_refuses(request: Request) -> str:
    if getattr(F, "linear_cross_entropy", None) is None:
        return f"torch {torch.__version__} has no F.linear_cross_entropy; it came with 2.13"
    if "label_smoothing" in request.options:
        return "torch's op has no label smoothing"
    if request.size < 4:
        return f"torch's op rounds the loss to {request.dtype}; the loss is to be float32"
    return costs.refuses_forward_mode(request)


def _rows_refuses(request: Request) -> str:
    if request.reduction == "none":
        return "gradients in the forward pass need one number upstream; use reduction sum or mean"
    if request.dtype == torch.float16:
        return "gradients of a mean underflow in float16 before a loss scaler multiplies them"
    return costs.refuses_forward_mode(request)


LINEAR_CROSS_ENTROPY = Op(
    NAME,
    "the cross-entropy of a linear map",
    Implementation(
        "eager", "the definition: logits, then cross-entropy", by_definition, serves_all,
        costs.eager,
    ),
    Implementation(
        "compiled", "the definition by torch.compile", _compiled,
        costs.refuses_forward_mode, costs.compiled, automatic=False,
    ),
    Implementation(
        "native", "torch's own op, 512 rows at a time", _native, _native_refuses, costs.native
    ),
    Implementation(
        "rows", "gradients in the forward pass, in the memory of W's gradient", _rows,
        _rows_refuses, costs.rows,
    ),
    Implementation(
        "stored", "keeps one matrix of exponentials", partial(_by_rivals, _stored_rivals),
        costs.refuses_forward_mode, costs.stored,
    ),
    Implementation(
        "classes", "a tile of classes at a time, computed again for the backward pass",
        partial(_by_rivals, _classes_rivals), costs.refuses_forward_mode, costs.classes,
    ),
    Implementation(
        "triton-logits", "logits of the inputs' type, read once by each pass",
        partial(_by_rivals, _triton_logits_rivals), triton_refuses, costs.triton_logits,
    ),
    Implementation(
        "triton", "no logits, tiles computed again for the backward pass",
        partial(_by_rivals, _triton_rivals), triton_refuses, costs.triton,
    ),
)  # fmt: skip
