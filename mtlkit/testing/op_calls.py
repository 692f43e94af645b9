"""Calls of the implementations of an op: results, derivatives and traces to compare."""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.autograd.forward_ad as forward_ad
from torch import Tensor, nn

from mtlkit.errors import ImplementationError
from mtlkit.ops.dispatch.choice import use
from mtlkit.ops.dispatch.implementation import Implementation, Op, Request
from mtlkit.ops.dispatch.trial import Trial
from mtlkit.testing.check import Subject

ROWS = 7
"""Default number of samples."""

Answer = list[Tensor]
"""A result and the gradients of the inputs."""


class OpCall(nn.Module):
    """An op's call with an implementation, as a module that can be compiled and exported."""

    def __init__(self, trial: Trial, name: str) -> None:
        super().__init__()
        self.trial, self.name = trial, name

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.trial.call(self.name, *inputs)


def new_generator() -> torch.Generator:
    """Return a new random generator with the seed that all checks share."""
    return torch.Generator().manual_seed(11)


def op_of(subject: Subject) -> Op:
    """Return the op that a subject is, or implements."""
    value = subject.value
    return subject.catalog.ops.get(value.op) if isinstance(value, Implementation) else value


def implementations_of(subject: Subject) -> list[Implementation]:
    """Return the implementations that are checked."""
    op = op_of(subject)
    if isinstance(subject.value, Implementation):
        return [subject.catalog.op_table.implementation(op, subject.value.name)]
    others = [i for i in op.implementations.values() if i.automatic and i is not op.reference]
    usable = [impl for impl in others if not impl.refuses(Request(ROWS, 6, 11))]
    return usable or [op.reference]


def trials_of(subject: Subject, rows: int = ROWS) -> Iterator[tuple[str, str, Trial]]:
    """Yield every call of every implementation: its label, the implementation, and the call."""
    with use(subject.catalog.op_table):
        for impl in implementations_of(subject):
            for label, trial in op_of(subject).trials(rows, new_generator()).items():
                yield f"{impl.name}, {label}", impl.name, trial


def leaves(inputs: Sequence[Tensor], dtype: torch.dtype) -> list[Tensor]:
    """Return copies of the inputs in `dtype` that require gradients."""
    return [tensor.detach().to(dtype, copy=True).requires_grad_() for tensor in inputs]


def called(trial: Trial, name: str, inputs: Sequence[Tensor]) -> Tensor | None:
    """Return the result, or None if the implementation refuses the call."""
    try:
        return trial.call(name, *inputs)
    except ImplementationError:
        return None


def upstream_of(result: Tensor) -> Tensor:
    """Return a random gradient of the result."""
    return torch.rand(result.shape, generator=new_generator()).to(result.dtype)


def gradients(
    result: Tensor, upstream: Tensor, inputs: Sequence[Tensor], **options: Any
) -> list[Tensor]:
    """Return the gradients of the inputs, zeros for inputs that the result does not depend on."""
    grads = torch.autograd.grad(
        (result * upstream).sum(), list(inputs), retain_graph=True, allow_unused=True, **options
    )
    pairs = zip(grads, inputs, strict=True)
    return [torch.zeros_like(tensor) if grad is None else grad for grad, tensor in pairs]


def answer(trial: Trial, name: str, dtype: torch.dtype) -> Answer | None:
    """Return the result and the gradients of a call, or None if it is refused."""
    inputs = leaves(trial.inputs, dtype)
    result = called(trial, name, inputs)
    if result is None:
        return None
    grads = gradients(result, upstream_of(result), inputs) if result.requires_grad else []
    return [result.detach(), *grads]


def second_derivatives(trial: Trial, name: str, power: int) -> list[Tensor] | None:
    """Return gradients of the squared gradients of a power of the result, or None if refused.

    A power of 2 makes the upstream gradient depend on the inputs too. The squares of the inputs are
    added, so that an op without a second derivative cannot silently drop out of the sum.
    """
    inputs = leaves(trial.inputs, torch.float64)
    result = called(trial, name, inputs)
    if result is None or not result.requires_grad:
        return None
    try:
        upstream = upstream_of(result)
        total = (result.pow(power) * upstream).sum()
        total = total + sum((tensor.square().sum() for tensor in inputs), torch.zeros(()))
        first = gradients(total, torch.ones_like(total), inputs, create_graph=True)
        total = sum((tensor.square().sum() for tensor in first), torch.zeros(()))
        return gradients(total, torch.ones_like(total), inputs)
    except (RuntimeError, NotImplementedError):
        return None


def tangent(trial: Trial, name: str) -> Tensor | None:
    """Return the forward-mode derivative of the result along ones, or None if it is refused."""
    try:
        with forward_ad.dual_level(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dual = [forward_ad.make_dual(t.clone(), torch.ones_like(t)) for t in trial.inputs]  # type: ignore[no-untyped-call]
            result = called(trial, name, dual)
            if result is None:
                return None
            tangent: Tensor | None = forward_ad.unpack_dual(result).tangent  # type: ignore[no-untyped-call]
            return torch.zeros_like(result) if tangent is None else tangent
    except (RuntimeError, NotImplementedError):
        return None


def spread(tensor: Tensor) -> Tensor:
    """Return the same numbers with a gap after each, as a strided view."""
    wide = tensor.new_zeros(*tensor.shape, 2)
    wide[..., 0] = tensor
    return wide[..., 0]


def place_of(place: int) -> str:
    """Return the name of the value at an index of an answer."""
    return "the result" if place == 0 else f"the gradient of input {place}"
