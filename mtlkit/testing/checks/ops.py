"""Checks of an implementation of an op: same results as the reference, faster or smaller.

An op is checked through all its implementations that run on this machine, or through its reference
if it has no other.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from mtlkit.ops.dispatch.choice import use
from mtlkit.ops.dispatch.implementation import Request
from mtlkit.ops.dispatch.trial import Trial
from mtlkit.testing.check import Subject, checks, require
from mtlkit.testing.modules import fresh_compiler
from mtlkit.testing.op_calls import (
    ROWS,
    OpCall,
    answer,
    called,
    gradients,
    implementations_of,
    leaves,
    new_generator,
    op_of,
    place_of,
    second_derivatives,
    spread,
    tangent,
    trials_of,
    upstream_of,
)
from mtlkit.testing.operators import Operators

T = TypeVar("T")

FLOORS = {torch.float32: (1e-6, 5e-6), torch.bfloat16: (1e-3, 5e-3), torch.float16: (2e-4, 1e-3)}
"""Tolerated relative errors of a loss and a gradient, in addition to those of eager mode."""

MANY = 96
"""Number of samples that makes a measured error representative."""


def errors(values: Tensor, truth: Tensor) -> tuple[float, float]:
    """Return the relative error in norm and the largest error relative to the largest number."""
    values, truth = values.double(), truth.double()
    if truth.numel() == 0:
        return 0.0, 0.0
    norm = ((values - truth).norm() / truth.norm().clamp_min(1e-30)).item()
    return norm, ((values - truth).abs().max() / truth.abs().max().clamp_min(1e-30)).item()


def says_what_it_is_of(subject: Subject) -> None:
    """It builds an implementation of an op that exists, or an op, and estimates its cost."""
    require(bool(subject.entry.summary), "it was added without a summary; add one of a few words")
    for impl in implementations_of(subject):
        small, large = (Request(rows, 64, 1000) for rows in (64, 4096))
        reason = impl.refuses(small)
        require(isinstance(reason, str), f"{impl.name}: refuses gives {reason!r}; expected a text")
        low, high = impl.cost(small), impl.cost(large)
        require(
            all(math.isfinite(number) and number >= 0 for number in (*low, *high)),
            f"{impl.name}: a cost is negative or not finite: {low}, {high}",
        )
        grows = low.flops + low.moved <= high.flops + high.moved
        require(grows, f"{impl.name}: 64 times the rows cost less than before")


def _compared(
    subject: Subject, compute: Callable[[Trial, str], T | None], rows: int = ROWS
) -> Iterator[tuple[str, T, T]]:
    """Yield what `compute` returns for an implementation and for the definition, by label.

    Calls that one of them refuses, such as those in float64, are left out.
    """
    for label, name, trial in trials_of(subject, rows):
        result, expected = compute(trial, name), compute(trial, op_of(subject).reference.name)
        if result is not None and expected is not None:
            yield label, result, expected


def gives_what_the_definition_gives(subject: Subject) -> None:
    """In float64 its result and all gradients are those of the definition, with every option."""
    for label, result, expected in _compared(subject, partial(answer, dtype=torch.float64)):
        for place, (ours, true) in enumerate(zip(result, expected, strict=True)):
            close = ours.shape == true.shape and torch.allclose(ours, true, 1e-7, 1e-9)
            require(close, f"{label}: {place_of(place)} is not that of the definition")


def is_as_accurate_as_eager(subject: Subject) -> None:
    """In each precision it errs at most twice as much as the definition, and gives float32."""
    served = set[str]()
    for label, name, trial in trials_of(subject, MANY):
        for dtype, floors in FLOORS.items():
            low = trial._replace(inputs=tuple(tensor.to(dtype) for tensor in trial.inputs))
            result = answer(low, name, dtype)
            reference = op_of(subject).reference.name
            eager, truth = (answer(low, reference, d) for d in (dtype, torch.float64))
            if result is None or eager is None or truth is None:
                continue
            served.add(name)
            same = result[0].dtype == eager[0].dtype
            require(same, f"{label}: of {dtype} it makes {result[0].dtype}, not {eager[0].dtype}")
            for place, parts in enumerate(zip(result, eager, truth, strict=True)):
                pairs = zip(errors(parts[0], parts[2]), errors(parts[1], parts[2]), strict=True)
                for mine, other in pairs:
                    require(
                        mine <= 2 * other + floors[min(place, 1)],
                        f"{label}: in {dtype} {place_of(place)} is off by {mine:.1g}, the "
                        f"definition by {other:.1g}",
                    )
    missing = [impl.name for impl in implementations_of(subject) if impl.name not in served]
    require(not missing, f"{', '.join(missing)}: refuses every call, so it cannot be checked")


def bears_an_empty_batch(subject: Subject) -> None:
    """Without a row, and with a single one, it gives what the definition gives."""
    for rows in (0, 1):
        compute = partial(answer, dtype=torch.float32)
        for label, result, expected in _compared(subject, compute, rows):
            for place, (ours, true) in enumerate(zip(result, expected, strict=True)):
                close = ours.shape == true.shape and torch.allclose(
                    ours, true, 1e-4, 1e-5, equal_nan=True
                )
                require(close, f"{label}: with {rows} rows {place_of(place)} is another")


def a_missing_label_costs_nothing(subject: Subject) -> None:
    """A row without a label has no gradient, and its features change nothing, however large."""
    for label, name, trial in trials_of(subject):
        if trial.missing is None:
            continue
        inputs = [tensor.float() for tensor in trial.inputs]
        altered = [torch.where(trial.missing[:, None], 1e4, inputs[0]), *inputs[1:]]
        result = answer(trial, name, torch.float32)
        other = answer(trial._replace(inputs=tuple(altered)), name, torch.float32)
        if result is None or other is None:
            continue
        none = bool((other[1][trial.missing] == 0).all())
        require(none, f"{label}: a gradient flows to a row without a label")
        same = all(torch.allclose(a, b, 1e-4, 1e-5) for a, b in zip(result, other, strict=True))
        require(same, f"{label}: the features of a row without a label change the rest")


def can_go_backward_twice(subject: Subject) -> None:
    """A second backward pass, and one for each input alone, finds the same gradients."""
    for label, name, trial in trials_of(subject):
        inputs = leaves(trial.inputs, torch.float32)
        result = called(trial, name, inputs)
        if result is None or not result.requires_grad:
            continue
        upstream = upstream_of(result)
        first = gradients(result, upstream, inputs)
        kept = [grad.clone() for grad in first]
        for grad in first:
            grad.mul_(7)  # a caller that changes its gradients must not affect later passes
        second = gradients(result, upstream, inputs)
        same = all(map(torch.equal, kept, second))
        require(same, f"{label}: a second backward pass finds other gradients")
        alone = [gradients(result, upstream, [tensor])[0] for tensor in inputs]
        close = all(torch.allclose(a, b, 1e-4, 1e-6) for a, b in zip(kept, alone, strict=True))
        require(close, f"{label}: the gradient of one input alone is another")


def gives_no_wrong_second_derivative(subject: Subject) -> None:
    """Second derivatives are those of the definition, or an error; never something else."""
    for power in (1, 2):
        compute = partial(second_derivatives, power=power)
        for label, result, expected in _compared(subject, compute):
            pairs = zip(result, expected, strict=True)
            same = all(torch.allclose(a, b, 1e-6, 1e-8) for a, b in pairs)
            require(same, f"{label}: a second derivative is wrong, where an error is expected")


def gives_no_wrong_tangent(subject: Subject) -> None:
    """Forward-mode derivatives are those of the definition, or an error; never zero."""
    for label, result, expected in _compared(subject, tangent):
        require(
            torch.allclose(result, expected, 1e-6, 1e-8),
            f"{label}: forward-mode differentiation gives something else, where an error is "
            f"expected; refuse requests with the option forward_mode",
        )


def leaves_its_inputs_alone(subject: Subject) -> None:
    """No pass changes an input, and inputs that lie otherwise in memory give the same."""
    for label, name, trial in trials_of(subject):
        inputs = leaves(trial.inputs, torch.float32)
        before = [tensor.detach().clone() for tensor in inputs]
        result = called(trial, name, inputs)
        if result is None:
            continue
        if result.requires_grad:
            gradients(result, upstream_of(result), inputs)
        same = all(map(torch.equal, before, inputs))
        require(same, f"{label}: it changes its inputs")
        again = trial.call(name, *map(spread, before))
        require(torch.allclose(result, again, 1e-4, 1e-5), f"{label}: strides change its result")


def can_be_traced(subject: Subject) -> None:
    """torch.compile takes it in one graph with its gradients; its custom ops pass opcheck."""
    done = set[str]()
    for label, name, trial in trials_of(subject):
        expected = answer(trial, name, torch.float32)
        if name in done or expected is None:
            continue  # one call per implementation is enough, because tracing takes seconds
        done.add(name)
        inputs = leaves(trial.inputs, torch.float32)
        with Operators() as recorder:
            answer(trial, name, torch.float32)
        for op, arguments in recorder.custom.values():
            torch.library.opcheck(op, arguments, test_utils=("test_schema", "test_faketensor"))
        with fresh_compiler():
            result = torch.compile(OpCall(trial, name), backend="aot_eager", fullgraph=True)(
                *inputs
            )
            traced = [result]
            if result.requires_grad:
                traced += gradients(result, upstream_of(result), inputs)
        same = all(torch.allclose(a, b, 1e-4, 1e-5) for a, b in zip(traced, expected, strict=True))
        require(same, f"{label}: compiled it gives something else")


def can_be_exported(subject: Subject) -> None:
    """torch.export accepts it, and the exported program returns the same."""
    done = set[str]()
    for label, name, trial in trials_of(subject):
        inputs = [tensor.detach() for tensor in leaves(trial.inputs, torch.float32)]
        expected = called(trial, name, inputs)
        if name in done or expected is None:
            continue
        done.add(name)
        with fresh_compiler(), torch.no_grad():
            exported = torch.export.export(OpCall(trial, name), tuple(inputs)).module()
            same = torch.allclose(exported(*inputs), expected, 1e-4, 1e-5)
        require(same, f"{label}: exported it gives something else")


def has_a_definition_with_right_gradients(subject: Subject) -> None:
    """The gradients of the definition are those of finite differences, and its batch is whole."""
    with use(subject.catalog.op_table):
        definition = op_of(subject).reference.name
        for label, trial in op_of(subject).trials(5, new_generator()).items():
            inputs = leaves(trial.inputs, torch.float64)
            result = called(trial, definition, inputs)
            require(result is not None, f"{label}: the reference refuses a call of its op")
            if result is not None and result.requires_grad:
                call = OpCall(trial, definition)
                torch.autograd.gradcheck(call, tuple(inputs))  # its error names the gradient


CHECKS = checks(
    says_what_it_is_of,
    gives_what_the_definition_gives,
    is_as_accurate_as_eager,
    bears_an_empty_batch,
    a_missing_label_costs_nothing,
    can_go_backward_twice,
    gives_no_wrong_second_derivative,
    gives_no_wrong_tangent,
    leaves_its_inputs_alone,
    can_be_traced,
    can_be_exported,
)
"""Checks of implementations, and of ops through their implementations."""

OP_CHECKS = checks(has_a_definition_with_right_gradients)
"""Checks of ops only."""
