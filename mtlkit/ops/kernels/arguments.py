"""Checks and casts of arguments, shared by all ops: types, shapes, autocast, labels."""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TypeVar

import torch
import torch.autograd.forward_ad as forward_ad
from torch import Tensor

from mtlkit.ops.dispatch.implementation import Request

REDUCTIONS = ("none", "sum", "mean")

Given = TypeVar("Given", Tensor, Tensor | None)


def check_matrix(op: str, name: str, value: Tensor, columns: int | None = None) -> None:
    """Raise `ValueError` or `TypeError` unless `value` is a floating matrix."""
    _check_tensor(op, name, value)
    if value.dim() != 2 or (columns is not None and value.shape[1] != columns):
        shape = "(rows, columns)" if columns is None else f"(rows, {columns})"
        raise ValueError(
            f"{op}: {name}: expected a matrix {shape}, got the shape {tuple(value.shape)}"
        )
    if not value.is_floating_point():
        raise TypeError(f"{op}: {name}: expected floating-point numbers, got {value.dtype}")


def check_weight(op: str, name: str, value: Tensor, x: Tensor) -> None:
    """Check a weight (C, D) of one class or more against the features x (N, D)."""
    check_matrix(op, name, value, x.shape[1])
    if len(value) == 0:
        raise ValueError(
            f"{op}: {name}: expected a row for each of one or more classes, got the shape "
            f"{tuple(value.shape)}"
        )


def check_devices(
    op: str, x: Tensor, called: str = "x", /, **others: Tensor | float | None
) -> None:
    """Raise `ValueError` unless all tensors are on the device of x, the argument `called`."""
    for name, value in others.items():
        if isinstance(value, Tensor) and value.device != x.device:
            raise ValueError(
                f"{op}: {name}: expected a tensor on {x.device}, where {called} is; "
                f"got one on {value.device}"
            )


def check_positive(op: str, name: str, value: float) -> None:
    """Raise `ValueError` unless `value` is finite and above 0."""
    if not 0 < value < math.inf:
        raise ValueError(f"{op}: {name}: expected a finite number above 0, got {value}")


def check_vector(op: str, name: str, value: Tensor, size: int) -> None:
    """Raise `ValueError` or `TypeError` unless `value` is a tensor of the shape (size,)."""
    _check_tensor(op, name, value)
    if value.shape != (size,):
        raise ValueError(f"{op}: {name}: expected the shape ({size},), got {tuple(value.shape)}")


def _check_tensor(op: str, name: str, value: object) -> None:
    if not isinstance(value, Tensor):
        raise TypeError(f"{op}: {name}: expected a tensor, got {type(value).__name__}")


def check_label_type(op: str, name: str, labels: Tensor, rows: int) -> None:
    """Raise `ValueError` or `TypeError` unless `labels` is (rows,) in int64."""
    check_vector(op, name, labels, rows)
    if labels.dtype != torch.int64:
        raise TypeError(f"{op}: {name}: expected int64, got {labels.dtype}; use .long()")


def check_labels(op: str, name: str, labels: Tensor, end: int, missing: int) -> None:
    """Raise `IndexError` for the first label that is neither in [0, end) nor `missing`.

    On a GPU, and in a traced graph, it is an assertion on the device, which avoids a sync.
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
    """Return whether no label is missing or wrong, by the fewest operators."""
    lowest, highest = labels.aminmax()
    return bool(lowest >= 0) and bool(highest < end)


def check_classes(op: str, x: Tensor, weight: Tensor, target: Tensor, missing: int) -> None:
    """Check features x (N, D), a weight (C, D) and targets (N,) below C, on one device."""
    check_matrix(op, "x", x)
    check_weight(op, "weight", weight, x)
    check_label_type(op, "target", target, len(x))
    check_devices(op, x, weight=weight, target=target)
    check_labels(op, "target", target, len(weight), missing)


def check_head_labels(
    op: str, targets: Tensor, known: Tensor, ends: Sequence[int], missing: int
) -> None:
    """Check targets (T, N) of several heads, in one reduction if none is wrong.

    `known` are the targets with class 0 in place of missing ones.
    """
    if targets.device.type != "cpu" or torch.compiler.is_compiling():
        # an assertion on the device, with few kernels, avoids a sync
        inside = torch.stack(
            [target.clamp(0, end - 1) for target, end in zip(known, ends, strict=True)]
        )
        torch._assert_async(
            (known == inside).all(), f"{op}: targets: a label is outside its head's classes"
        )
        return
    if targets.numel():
        lowest, highest = torch.aminmax(targets, dim=1)
        if min(lowest.tolist()) >= 0 and all(map(int.__lt__, highest.tolist(), ends)):
            return
    for head, (target, end) in enumerate(zip(targets, ends, strict=True)):
        check_labels(op, f"targets[{head}]", target, end, missing)


def check_options(op: str, reduction: str, smoothing: float = 0.0) -> None:
    """Raise `ValueError` for an unknown reduction, or a label smoothing outside [0, 1]."""
    if reduction not in REDUCTIONS:
        raise ValueError(
            f"{op}: reduction: expected one of {', '.join(REDUCTIONS)}, got {reduction!r}"
        )
    if not 0 <= smoothing <= 1:
        raise ValueError(f"{op}: label_smoothing: expected 0 to 1, got {smoothing}")


def check_heads(
    op: str, x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor | None]
) -> None:
    """Raise `ValueError` or `TypeError` unless all (C, D) and (C,) fit the features x (N, D)."""
    check_matrix(op, "x", x)
    if all(map(partial(head_fits, x), weights, biases)):
        return  # names are made for errors only
    for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        check_head(op, x, weight, bias, (f"weights[{number}]", f"biases[{number}]"))


def check_head(
    op: str, x: Tensor, weight: Tensor, bias: Tensor | None, names: tuple[str, str]
) -> None:
    """Check a weight (C, D) and a bias (C,) or None, called `names`, against x (N, D)."""
    check_weight(op, names[0], weight, x)
    if bias is not None:
        check_vector(op, names[1], bias, len(weight))
    check_devices(op, x, **{names[0]: weight, names[1]: bias})


def head_fits(x: Tensor, weight: object, bias: object) -> bool:
    """Return whether a head fits the features (N, D), by all tests of `check_heads`."""
    if not isinstance(weight, Tensor) or not isinstance(bias, Tensor | None):
        return False
    shape = weight.shape
    return (
        len(shape) == 2
        and shape[1] == x.shape[1]
        and shape[0] > 0
        and weight.is_floating_point()
        and weight.device == x.device
        and (bias is None or (bias.shape == shape[:1] and bias.device == x.device))
    )


def target_fits(x: Tensor, target: object) -> bool:
    """Return whether a target is (N,) in int64, on the device of the features (N, D)."""
    return (
        isinstance(target, Tensor)
        and target.dtype == torch.int64
        and target.shape == x.shape[:1]
        and target.device == x.device
    )


def check_head_targets(op: str, x: Tensor, targets: Sequence[Tensor]) -> None:
    """Raise `ValueError` or `TypeError` unless all targets are (N,) in int64, where x is."""
    for head, target in enumerate(targets):
        if not target_fits(x, target):
            check_label_type(op, f"targets[{head}]", target, len(x))
            check_devices(op, x, **{f"targets[{head}]": target})


def heads_of_one_type(
    op: str, x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor | None]
) -> tuple[Tensor, tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Return x, the weights and the biases cast by `same_type`, with zeros for a bias of None."""
    given = (bias for bias in biases if bias is not None)
    cast_x, *cast = same_type(op, x, *weights, *given)
    matrices, vectors = tuple(cast[: len(weights)]), iter(cast[len(weights) :])
    offsets = tuple(
        cast_x.new_zeros(len(matrix)) if bias is None else next(vectors)
        for matrix, bias in zip(matrices, biases, strict=True)
    )
    return cast_x, matrices, offsets


def same_type(op: str, *tensors: Given) -> tuple[Given, ...]:
    """Return the tensors in the type that autocast uses for matrix products, or as they are.

    `TypeError` if they then differ.
    """
    given = [tensor for tensor in tensors if tensor is not None]
    device = given[0].device.type
    if _autocasts(device):
        kind = torch.get_autocast_dtype(device)
        tensors = tuple(
            tensor if tensor is None or tensor.dtype == torch.float64 else tensor.to(kind)
            for tensor in tensors
        )
    kinds = {tensor.dtype for tensor in tensors if tensor is not None}
    if len(kinds) > 1:
        kind_names = ", ".join(sorted(str(kind) for kind in kinds))
        raise TypeError(f"{op}: inputs of one type are expected outside autocast, got {kind_names}")
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
    gradient = any(tensor is not None and tensor.requires_grad for tensor in inputs)
    return Request(
        x.shape[0], x.shape[1], classes, x.dtype, x.device.type,
        gradient and torch.is_grad_enabled(), reduction, parts,
        tuple(name for name, in_use in options.items() if in_use),
    )  # fmt: skip


def without_autocast(x: Tensor) -> AbstractContextManager[None]:
    """Disable autocast: the op has cast its inputs, and nothing in it is cast again.

    If autocast is off, nothing is disabled, which would cost a small op a fifth of its time.
    """
    kind = x.device.type
    return torch.autocast(kind, enabled=False) if _autocasts(kind) else nullcontext()


def _autocasts(device: str) -> bool:
    """Return whether autocast is on for this kind of device; the meta device has none."""
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)


def has_tangent(*tensors: Tensor | None) -> bool:
    """Return whether forward-mode differentiation is active; an operator's tangent would be 0."""
    if forward_ad._current_level < 0 or torch.compiler.is_compiling():
        return False  # a graph is traced without tangents, and outside a level there are none
    duals = (forward_ad.unpack_dual(t) for t in tensors if t is not None)  # type: ignore[no-untyped-call]
    return any(dual.tangent is not None for dual in duals)
