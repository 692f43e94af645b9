"""Calls of the implementations of an op: results, derivatives and traces to compare."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.autograd.forward_ad as forward_ad
from torch import Tensor, nn

from mtlkit.errors import ImplementationError
from mtlkit.ops.dispatch.choice import use
from mtlkit.ops.dispatch.implementation import Implementation, Op, Request
from mtlkit.ops.dispatch.table import OpTable
from mtlkit.ops.dispatch.trial import Trial
from mtlkit.testing.check import Subject
from mtlkit.testing.operators import Operators

ROWS = 7
"""So many samples, unless it is said otherwise."""

Answer = list[Tensor]
"""A result, and the gradients of the inputs."""


class OpCall(nn.Module):
    """An op's call with an implementation, as a module that can be compiled and exported."""

    def __init__(self, trial: Trial, name: str) -> None:
        super().__init__()
        self.trial, self.name = trial, name

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.trial.call(self.name, *inputs)


def new_generator() -> torch.Generator:
    """The chance of every check, the same in each."""
    return torch.Generator().manual_seed(11)


def table_of(subject: Subject) -> OpTable:
    """Return the ops and implementations of the subject's catalog."""
    return subject.catalog.op_table


def op_of(subject: Subject) -> Op:
    """Return the op that a subject is, or implements."""
    value = subject.value
    return subject.catalog.ops.get(value.op) if isinstance(value, Implementation) else value


def implementations_of(subject: Subject) -> list[Implementation]:
    """Return the implementations that are checked."""
    op = op_of(subject)
    if isinstance(subject.value, Implementation):
        return [table_of(subject).implementation(op, subject.value.name)]
    others = [i for i in op.implementations.values() if i.automatic and i is not op.reference]
    able = [each for each in others if not each.refuses(Request(ROWS, 6, 11))]
    return able or [op.reference]


def reference_of(subject: Subject) -> str:
    """Return the name of the reference."""
    return op_of(subject).reference.name


def trials_of(subject: Subject, rows: int = ROWS) -> Iterator[tuple[str, str, Trial]]:
    """Yield every call of every implementation: its label, the implementation, and the call."""
    with use(table_of(subject)):
        for each in implementations_of(subject):
            for label, trial in op_of(subject).trials(rows, new_generator()).items():
                yield f"{each.name}, {label}", each.name, trial


def leaves(inputs: Sequence[Tensor], dtype: torch.dtype) -> list[Tensor]:
    """The inputs in a precision, to be differentiated."""
    return [each.detach().to(dtype, copy=True).requires_grad_() for each in inputs]


def called(trial: Trial, name: str, inputs: Sequence[Tensor]) -> Tensor | None:
    """The result, or None where the implementation refuses."""
    try:
        return trial.call(name, *inputs)
    except ImplementationError:
        return None


def upstream_of(result: Tensor) -> Tensor:
    """A gradient of the result, by chance."""
    return torch.rand(result.shape, generator=new_generator()).to(result.dtype)


def gradients(
    result: Tensor, upstream: Tensor, inputs: Sequence[Tensor], **options: Any
) -> list[Tensor]:
    """The gradients of the inputs, zeros where the result does not depend on one."""
    found = torch.autograd.grad(
        (result * upstream).sum(), list(inputs), retain_graph=True, allow_unused=True, **options
    )
    pairs = zip(found, inputs, strict=True)
    return [torch.zeros_like(of) if each is None else each for each, of in pairs]


def answer(trial: Trial, name: str, dtype: torch.dtype) -> Answer | None:
    """The result and the gradients of a call; None where it is refused."""
    inputs = leaves(trial.inputs, dtype)
    result = called(trial, name, inputs)
    if result is None:
        return None
    slopes = gradients(result, upstream_of(result), inputs) if result.requires_grad else []
    return [result.detach(), *slopes]


def second_derivatives(trial: Trial, name: str, power: int) -> list[Tensor] | None:
    """The gradients of the squared gradients of a power of the result; None where it is refused.

    A square makes what comes down in the backward pass depend on the inputs too. The squares of the
    inputs are added: of such a sum an op that has no second derivative must not be the silent part.
    """
    inputs = leaves(trial.inputs, torch.float64)
    result = called(trial, name, inputs)
    if result is None or not result.requires_grad:
        return None
    try:
        upstream = upstream_of(result)
        total = (result.pow(power) * upstream).sum()
        total = total + sum((each.square().sum() for each in inputs), torch.zeros(()))
        first = gradients(total, torch.ones_like(total), inputs, create_graph=True)
        total = sum((each.square().sum() for each in first), torch.zeros(()))
        return gradients(total, torch.ones_like(total), inputs)
    except (RuntimeError, NotImplementedError):
        return None


def tangent(trial: Trial, name: str) -> Tensor | None:
    """The change of the result with all inputs, by forward mode; None where that is refused."""
    try:
        with forward_ad.dual_level(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dual = [_dual(each) for each in trial.inputs]
            result = called(trial, name, dual)
            if result is None:
                return None
            tangent: Tensor | None = forward_ad.unpack_dual(result).tangent  # type: ignore[no-untyped-call]
            return torch.zeros_like(result) if tangent is None else tangent
    except (RuntimeError, NotImplementedError):
        return None


def _dual(tensor: Tensor) -> Tensor:
    with_tangent: Tensor = forward_ad.make_dual(tensor.clone(), torch.ones_like(tensor))  # type: ignore[no-untyped-call]
    return with_tangent


def spread(tensor: Tensor) -> Tensor:
    """The same numbers with a gap after each."""
    wide = tensor.new_zeros(*tensor.shape, 2)
    wide[..., 0] = tensor
    return wide[..., 0]


def place_of(place: int) -> str:
    """What stands at a place of an answer."""
    return "the result" if place == 0 else f"the gradient of input {place}"


@contextmanager
def custom_ops() -> Iterator[list[tuple[Any, tuple[Any, ...]]]]:
    """The custom ops that are called inside, with their arguments."""
    found: list[tuple[Any, tuple[Any, ...]]] = []
    with Operators() as recorder:
        yield found
    found += recorder.custom.values()
