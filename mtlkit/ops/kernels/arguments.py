"""What every op does with its arguments before it computes: types, shapes, autocast, labels."""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import overload

import torch
import torch.autograd.forward_ad as forward_ad
from torch import Tensor

from mtlkit.ops.dispatch.implementation import Request

REDUCTIONS = ("none", "sum", "mean")


def check_matrix(op: str, name: str, value: Tensor, columns: int | None = None) -> None:
    """`ValueError` or `TypeError` unless `value` is a floating matrix with so many columns."""
    _check_tensor(op, name, value)
    if value.dim() != 2 or (columns is not None and value.shape[1] != columns):
        wanted = "(rows, columns)" if columns is None else f"(rows, {columns})"
        raise ValueError(
            f"{op}: {name}: expected a matrix {wanted}, found the shape {tuple(value.shape)}"
        )
    if not value.is_floating_point():
        raise TypeError(f"{op}: {name}: expected floating-point numbers, found {value.dtype}")


def check_weight(op: str, name: str, value: Tensor, x: Tensor) -> None:
    """As `check_matrix`, for a weight (C, D) of one class or more, by the features x (N, D)."""
    check_matrix(op, name, value, x.shape[1])
    if len(value) == 0:
        raise ValueError(
            f"{op}: {name}: expected a row for each of one or more classes, found the shape "
            f"{tuple(value.shape)}"
        )


def check_devices(
    op: str, x: Tensor, called: str = "x", /, **others: Tensor | float | None
) -> None:
    """`ValueError` unless all tensors lie where x does, which is `called` so."""
    for name, value in others.items():
        if isinstance(value, Tensor) and value.device != x.device:
            raise ValueError(
                f"{op}: {name}: expected a tensor on {x.device}, where {called} is; "
                f"found one on {value.device}"
            )


def check_positive(op: str, name: str, value: float) -> None:
    """`ValueError` unless `value` is finite and above 0."""
    if not 0 < value < math.inf:
        raise ValueError(f"{op}: {name}: expected a finite number above 0, found {value}")


def check_vector(op: str, name: str, value: Tensor, size: int) -> None:
    """`ValueError` or `TypeError` unless `value` is a tensor of the shape (size,)."""
    _check_tensor(op, name, value)
    if value.shape != (size,):
        raise ValueError(f"{op}: {name}: expected the shape ({size},), found {tuple(value.shape)}")


def _check_tensor(op: str, name: str, value: object) -> None:
    if not isinstance(value, Tensor):
        raise TypeError(f"{op}: {name}: expected a tensor, found {type(value).__name__}")


def check_label_type(op: str, name: str, labels: Tensor, rows: int) -> None:
    """`ValueError` or `TypeError` unless `labels` is (rows,) in int64."""
    check_vector(op, name, labels, rows)
    if labels.dtype != torch.int64:
        raise TypeError(f"{op}: {name}: expected int64, found {labels.dtype}; use .long()")


def check_labels(op: str, name: str, labels: Tensor, end: int, missing: int) -> None:
    """Labels in [0, end), or `missing`; `IndexError` names the first that is neither.

    On a GPU, and in a traced graph, it is an assertion of the device: it must not wait.
    """
    waits = labels.device.type == "cpu" and not torch.compiler.is_compiling()
    if waits and (len(labels) == 0 or _all_within(labels, end)):
        return
    wrong = ((labels < 0) | (labels >= end)) & (labels != missing)
    if not waits:
        torch._assert_async(~wrong.any(), f"{op}: {name}: a label is outside [0, {end})")
    elif wrong.any():
        row = int(wrong.nonzero()[0])
        raise IndexError(
            f"{op}: {name}: row {row} has the label {int(labels[row])}; expected 0 to {end - 1}, "
            f"or {missing} where it is missing"
        )


def _all_within(labels: Tensor, end: int) -> bool:
    """Whether no label is missing or wrong, by the fewest operators."""
    lowest, highest = labels.aminmax()
    return bool(lowest >= 0) and bool(highest < end)


def check_head_labels(
    op: str, targets: Tensor, known: Tensor, ends: Sequence[int], missing: int
) -> None:
    """As `check_labels`, for targets (T, N) of several heads, in one reduction if none is wrong.

    `known` are the targets with class 0 in place of missing ones.
    """
    if targets.device.type != "cpu" or torch.compiler.is_compiling():
        # the device's own assertion, with few kernels: it must not wait
        inside = torch.stack([own.clamp(0, end - 1) for own, end in zip(known, ends, strict=True)])
        torch._assert_async(
            (known == inside).all(), f"{op}: targets: a label is outside its head's classes"
        )
        return
    if targets.numel():
        lowest, highest = torch.aminmax(targets, dim=1)
        if lowest.min() >= 0 and all(map(int.__lt__, highest.tolist(), ends)):
            return
    for head, (target, end) in enumerate(zip(targets, ends, strict=True)):
        check_labels(op, f"targets[{head}]", target, end, missing)


def check_reduction(op: str, reduction: str) -> None:
    """`ValueError` for an unknown reduction."""
    if reduction not in REDUCTIONS:
        raise ValueError(
            f"{op}: reduction: expected one of {', '.join(REDUCTIONS)}, found {reduction!r}"
        )


def check_smoothing(op: str, smoothing: float) -> None:
    """`ValueError` unless a share of the label can be spread over all classes."""
    if not 0 <= smoothing <= 1:
        raise ValueError(f"{op}: label_smoothing: expected 0 to 1, found {smoothing}")


def check_heads(
    op: str, x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor | None]
) -> None:
    """`ValueError` or `TypeError` unless all (C, D) and (C,) fit the features x (N, D)."""
    check_matrix(op, "x", x)
    for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        check_weight(op, f"weights[{number}]", weight, x)
        if bias is not None:
            check_vector(op, f"biases[{number}]", bias, len(weight))
        check_devices(op, x, **{f"weights[{number}]": weight, f"biases[{number}]": bias})


def heads_of_one_type(
    op: str, x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor | None]
) -> tuple[Tensor, tuple[Tensor, ...], tuple[Tensor, ...]]:
    """x, the weights and the biases as `same_type` has them, with zeros for a bias of None."""
    given = (bias for bias in biases if bias is not None)
    cast_x, *cast = same_type(op, x, *weights, *given)
    matrices, vectors = tuple(cast[: len(weights)]), iter(cast[len(weights) :])
    offsets = tuple(
        cast_x.new_zeros(len(matrix)) if bias is None else next(vectors)
        for matrix, bias in zip(matrices, biases, strict=True)
    )
    return cast_x, matrices, offsets


@overload
def same_type(op: str, *tensors: Tensor) -> tuple[Tensor, ...]: ...


@overload
def same_type(op: str, *tensors: Tensor | None) -> tuple[Tensor | None, ...]: ...


def same_type(op: str, *tensors: Tensor | None) -> tuple[Tensor | None, ...]:
    """Return the tensors in the type that autocast uses for matrix products, or as they are.

    `TypeError` if they then differ.
    """
    given = [each for each in tensors if each is not None]
    device = given[0].device.type
    if _autocasts(device):
        kind = torch.get_autocast_dtype(device)
        tensors = tuple(
            each if each is None or each.dtype == torch.float64 else each.to(kind)
            for each in tensors
        )
    kinds = {each.dtype for each in tensors if each is not None}
    if len(kinds) > 1:
        found = ", ".join(sorted(str(kind) for kind in kinds))
        raise TypeError(f"{op}: inputs of one type are expected outside autocast, found {found}")
    return tensors


def request_of(
    x: Tensor,
    classes: int,
    inputs: Sequence[Tensor | None],
    reduction: str,
    parts: int = 1,
    **options: bool,
) -> Request:
    """Return the request of a call with features x (N, D), from the `inputs` as they were given.

    `options` are the optional arguments by name, true for those in use.
    """
    options["forward_mode"] = has_tangent(*inputs)
    return Request(
        x.shape[0], x.shape[1], classes, x.dtype, x.device.type, wants_gradient(*inputs), reduction,
        parts, tuple(name for name, in_use in options.items() if in_use),
    )  # fmt: skip


def without_autocast(x: Tensor) -> AbstractContextManager[None]:
    """The op has applied autocast to its inputs; nothing in it is cast again.

    Where it is off there is nothing to switch off, which would cost a small op a fifth of its time.
    """
    kind = x.device.type
    return torch.autocast(kind, enabled=False) if _autocasts(kind) else nullcontext()


def _autocasts(device: str) -> bool:
    """Whether autocast is on for this kind of device; there is none for the meta device."""
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)


def wants_gradient(*tensors: Tensor | None) -> bool:
    """Whether anything will be differentiated."""
    return torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)


def has_tangent(*tensors: Tensor | None) -> bool:
    """Whether forward-mode differentiation is under way; an operator would answer zero to it."""
    if torch.compiler.is_compiling():
        return False  # a graph is traced without tangents
    return any(t is not None and _tangent(t) is not None for t in tensors)


def _tangent(tensor: Tensor) -> Tensor | None:
    dual = forward_ad.unpack_dual(tensor)  # type: ignore[no-untyped-call]
    tangent: Tensor | None = dual.tangent
    return tangent
