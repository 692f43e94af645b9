"""What an implementation of an op promises: to be the definition, faster or smaller.

An op is checked by all its own implementations that run here; one that has only a definition is
checked by that.
"""

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.autograd.forward_ad as forward_ad
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from mtlkit.errors import ImplementationError
from mtlkit.ops.brought import op_called, searched_in
from mtlkit.ops.configs import HeadOp
from mtlkit.ops.implementation import Op, Request
from mtlkit.ops.trials import Trial
from mtlkit.testing.check import Subject, checks, require

FLOORS = {
    torch.float32: (1e-6, 5e-6),
    torch.bfloat16: (1e-3, 5e-3),
    torch.float16: (2e-4, 1e-3),
}
"""By how much a loss and a gradient may be wrong, relative to the truth, beside eager's error."""

ROWS, MANY = 7, 96

Answer = list[Tensor]
"""A result, and the gradients of the inputs."""


def errors(found: Tensor, truth: Tensor) -> tuple[float, float]:
    """The error of the norm, and the largest one over the largest number."""
    found, truth = found.double(), truth.double()
    if truth.numel() == 0:
        return 0.0, 0.0
    norm = ((found - truth).norm() / truth.norm().clamp_min(1e-30)).item()
    return norm, ((found - truth).abs().max() / truth.abs().max().clamp_min(1e-30)).item()


def says_what_it_is_of(subject: Subject) -> None:
    """It builds an implementation of an op that exists, or an op, and says what it costs."""
    with searched_in(subject.catalog):
        op, names = _candidates(subject)
        for name in names:
            small, large = (Request(rows, 64, 1000) for rows in (64, 4096))
            said = op[name].refuses(small)
            require(isinstance(said, str), f"{name}: refuses gives {said!r}; expected a text")
            low, high = op[name].cost(small), op[name].cost(large)
            numbers = (*low, *high)
            require(
                all(math.isfinite(each) and each >= 0 for each in numbers),
                f"{name}: a cost is negative or not finite: {low}, {high}",
            )
            grows = low.flops + low.moved <= high.flops + high.moved
            require(grows, f"{name}: 64 times the rows cost less than before")


def gives_what_the_definition_gives(subject: Subject) -> None:
    """In float64 its result and all gradients are those of the definition, with every option."""
    for label, name, trial in _trials(subject):
        wanted = _answer(trial, _definition(subject), torch.float64)
        found = _answer(trial, name, torch.float64)
        if found is None or wanted is None:
            continue  # it may not know this option, or float64; the next check asks for float32
        for place, (ours, true) in enumerate(zip(found, wanted, strict=True)):
            close = ours.shape == true.shape and torch.allclose(ours, true, 1e-7, 1e-9)
            require(close, f"{label}: {_place(place)} is not that of the definition")


def is_as_accurate_as_eager(subject: Subject) -> None:
    """In each precision it errs at most twice as much as the definition, and gives float32."""
    served = set[str]()
    for label, name, trial in _trials(subject, MANY):
        for dtype, floors in FLOORS.items():
            low = trial._replace(inputs=tuple(each.to(dtype) for each in trial.inputs))
            found = _answer(low, name, dtype)
            eager, truth = (_answer(low, _definition(subject), d) for d in (dtype, torch.float64))
            if found is None or eager is None or truth is None:
                continue
            served.add(name)
            same = found[0].dtype == eager[0].dtype
            require(same, f"{label}: of {dtype} it makes {found[0].dtype}, not {eager[0].dtype}")
            for place, parts in enumerate(zip(found, eager, truth, strict=True)):
                pairs = zip(errors(parts[0], parts[2]), errors(parts[1], parts[2]), strict=True)
                for mine, other in pairs:
                    require(
                        mine <= 2 * other + floors[min(place, 1)],
                        f"{label}: in {dtype} {_place(place)} is off by {mine:.1g}, the "
                        f"definition by {other:.1g}",
                    )
    missing = [name for name in _names(subject) if name not in served]
    require(not missing, f"{', '.join(missing)}: refuses every call, so nothing can be said of it")


def bears_an_empty_batch(subject: Subject) -> None:
    """Without a row, and with a single one, it gives what the definition gives."""
    for rows in (0, 1):
        for label, name, trial in _trials(subject, rows):
            found = _answer(trial, name, torch.float32)
            wanted = _answer(trial, _definition(subject), torch.float32)
            if found is None or wanted is None:
                continue
            for place, (ours, true) in enumerate(zip(found, wanted, strict=True)):
                close = ours.shape == true.shape and torch.allclose(
                    ours, true, 1e-4, 1e-5, equal_nan=True
                )
                require(close, f"{label}: with {rows} rows {_place(place)} is another")


def a_missing_label_costs_nothing(subject: Subject) -> None:
    """A row without a label has no gradient, and its features change nothing, however large."""
    for label, name, trial in _trials(subject):
        if trial.missing is None:
            continue
        inputs = [each.float() for each in trial.inputs]
        strange = [torch.where(trial.missing[:, None], 1e4, inputs[0]), *inputs[1:]]
        found = _answer(trial, name, torch.float32)
        other = _answer(trial._replace(inputs=tuple(strange)), name, torch.float32)
        if found is None or other is None:
            continue
        none = bool((other[1][trial.missing] == 0).all())
        require(none, f"{label}: a gradient flows to a row without a label")
        same = all(torch.allclose(a, b, 1e-4, 1e-5) for a, b in zip(found, other, strict=True))
        require(same, f"{label}: the features of a row without a label change the rest")


def can_go_backward_twice(subject: Subject) -> None:
    """A second backward pass, and one for each input alone, finds the same gradients."""
    for label, name, trial in _trials(subject):
        inputs = _leaves(trial.inputs, torch.float32)
        result = _called(trial, name, inputs)
        if result is None or not result.requires_grad:
            continue
        upstream = _upstream(result)
        first = _gradients(result, upstream, inputs)
        kept = [each.clone() for each in first]
        for each in first:
            each.mul_(7)  # what a caller does with its gradients changes nothing
        second = _gradients(result, upstream, inputs)
        same = all(map(torch.equal, kept, second))
        require(same, f"{label}: a second backward pass finds other gradients")
        alone = [_gradients(result, upstream, [each])[0] for each in inputs]
        close = all(torch.allclose(a, b, 1e-4, 1e-6) for a, b in zip(kept, alone, strict=True))
        require(close, f"{label}: the gradient of one input alone is another")


def gives_no_wrong_second_derivative(subject: Subject) -> None:
    """Second derivatives are those of the definition, or an error; never something else."""
    for label, name, trial in _trials(subject):
        found, wanted = (
            _second(trial, each) for each in (name, _definition(subject))
        )  # fmt: skip
        if found is not None and wanted is not None:
            same = all(torch.allclose(a, b, 1e-6, 1e-8) for a, b in zip(found, wanted, strict=True))
            require(same, f"{label}: a second derivative is wrong, where an error is expected")


def gives_no_wrong_tangent(subject: Subject) -> None:
    """Forward-mode derivatives are those of the definition, or an error; never zero."""
    for label, name, trial in _trials(subject):
        found, wanted = (_tangent(trial, each) for each in (name, _definition(subject)))
        if found is not None and wanted is not None:
            require(
                torch.allclose(found, wanted, 1e-6, 1e-8),
                f"{label}: forward-mode differentiation gives something else, where an error is "
                f"expected; refuse requests with the option forward_mode",
            )


def leaves_its_inputs_alone(subject: Subject) -> None:
    """No pass changes an input, and inputs that lie otherwise in memory give the same."""
    for label, name, trial in _trials(subject):
        inputs = _leaves(trial.inputs, torch.float32)
        before = [each.detach().clone() for each in inputs]
        result = _called(trial, name, inputs)
        if result is None:
            continue
        if result.requires_grad:
            _gradients(result, _upstream(result), inputs)
        same = all(map(torch.equal, before, inputs))
        require(same, f"{label}: it changes its inputs")
        spread = [_spread(each) for each in before]
        again = trial.call(name, *spread)
        require(torch.allclose(result, again, 1e-4, 1e-5), f"{label}: strides change its result")


def can_be_traced(subject: Subject) -> None:
    """torch.compile takes it in one graph with its gradients; its custom ops pass opcheck."""
    done = set[str]()
    for label, name, trial in _trials(subject):
        wanted = _answer(trial, name, torch.float32)
        if name in done or wanted is None:
            continue  # one call of each is enough: it takes seconds
        done.add(name)
        inputs = _leaves(trial.inputs, torch.float32)
        with _custom_ops() as seen:
            _answer(trial, name, torch.float32)
        for op, arguments in seen:
            torch.library.opcheck(op, arguments, test_utils=("test_schema", "test_faketensor"))
        with _fresh_compiler():
            result = torch.compile(_Call(trial, name), backend="aot_eager", fullgraph=True)(*inputs)
            found = [result]
            if result.requires_grad:
                found += _gradients(result, _upstream(result), inputs)
        same = all(torch.allclose(a, b, 1e-4, 1e-5) for a, b in zip(found, wanted, strict=True))
        require(same, f"{label}: compiled it gives something else")


def can_be_exported(subject: Subject) -> None:
    """torch.export takes it, and what it gives says the same."""
    done = set[str]()
    for label, name, trial in _trials(subject):
        inputs = [each.detach() for each in _leaves(trial.inputs, torch.float32)]
        wanted = _called(trial, name, inputs)
        if name in done or wanted is None:
            continue
        done.add(name)
        with _fresh_compiler(), torch.no_grad():
            exported = torch.export.export(_Call(trial, name), tuple(inputs)).module()
            same = torch.allclose(exported(*inputs), wanted, 1e-4, 1e-5)
        require(same, f"{label}: exported it gives something else")


def has_a_definition_with_right_gradients(subject: Subject) -> None:
    """The gradients of the definition are those of finite differences, and its batch is whole."""
    with searched_in(subject.catalog):
        component, definition = _component(subject), _definition(subject)
        for label, trial in component.trials(5, _generator()).items():
            inputs = _leaves(trial.inputs, torch.float64)
            result = _called(trial, definition, inputs)
            require(result is not None, f"{label}: the definition refuses a call of its own op")
            if result is not None and result.requires_grad:
                call = _Call(trial, definition)
                torch.autograd.gradcheck(call, tuple(inputs))  # its error names the gradient


class _Call(nn.Module):
    """An op's call with an implementation, as a module that can be compiled and exported."""

    def __init__(self, trial: Trial, name: str) -> None:
        super().__init__()
        self.trial, self.name = trial, name

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.trial.call(self.name, *inputs)


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(11)


def _component(subject: Subject) -> HeadOp:
    """The component of the op that a subject is, or implements."""
    name = subject.entry.name if subject.plural == "ops" else subject.kind.op  # type: ignore[attr-defined]
    return subject.catalog.ops.get(name)()


def _candidates(subject: Subject) -> tuple[Op, list[str]]:
    """The op, and the implementations that are checked."""
    if subject.plural == "implementations":
        op = op_called(subject.kind.op)  # type: ignore[attr-defined]
        return op, [op[subject.entry.name].name]
    op = op_called(subject.entry.name)
    others = [n for n, i in op.implementations.items() if i.automatic and i != op.definition]
    able = [name for name in others if not op[name].refuses(Request(ROWS, 6, 11))]
    return op, able or [op.definition.name]


def _names(subject: Subject) -> list[str]:
    with searched_in(subject.catalog):
        return _candidates(subject)[1]


def _definition(subject: Subject) -> str:
    with searched_in(subject.catalog):
        return _candidates(subject)[0].definition.name


def _trials(subject: Subject, rows: int = ROWS) -> Iterator[tuple[str, str, Trial]]:
    """Every call of every implementation: what it is called, the implementation, and the call."""
    with searched_in(subject.catalog):
        for name in _candidates(subject)[1]:
            for label, trial in _component(subject).trials(rows, _generator()).items():
                yield f"{name}, {label}", name, trial


def _leaves(inputs: Sequence[Tensor], dtype: torch.dtype) -> list[Tensor]:
    return [each.detach().to(dtype, copy=True).requires_grad_() for each in inputs]


def _called(trial: Trial, name: str, inputs: Sequence[Tensor]) -> Tensor | None:
    """The result, or None where the implementation refuses."""
    try:
        return trial.call(name, *inputs)
    except ImplementationError:
        return None


def _upstream(result: Tensor) -> Tensor:
    return torch.rand(result.shape, generator=_generator()).to(result.dtype)


def _gradients(
    result: Tensor, upstream: Tensor, inputs: Sequence[Tensor], **options: Any
) -> list[Tensor]:
    found = torch.autograd.grad(
        (result * upstream).sum(), list(inputs), retain_graph=True, allow_unused=True, **options
    )
    pairs = zip(found, inputs, strict=True)
    return [torch.zeros_like(of) if each is None else each for each, of in pairs]


def _answer(trial: Trial, name: str, dtype: torch.dtype) -> Answer | None:
    """The result and the gradients of a call; None where it is refused."""
    inputs = _leaves(trial.inputs, dtype)
    result = _called(trial, name, inputs)
    if result is None:
        return None
    gradients = _gradients(result, _upstream(result), inputs) if result.requires_grad else []
    return [result.detach(), *gradients]


def _second(trial: Trial, name: str) -> list[Tensor] | None:
    inputs = _leaves(trial.inputs, torch.float64)
    result = _called(trial, name, inputs)
    if result is None or not result.requires_grad:
        return None
    try:
        first = _gradients(result, _upstream(result), inputs, create_graph=True)
        total = sum((each.square().sum() for each in first), torch.zeros(()))
        return _gradients(total, torch.ones_like(total), inputs)
    except (RuntimeError, NotImplementedError):
        return None


def _tangent(trial: Trial, name: str) -> Tensor | None:
    try:
        with forward_ad.dual_level(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dual = [
                forward_ad.make_dual(each.clone(), torch.ones_like(each)) for each in trial.inputs
            ]
            result = _called(trial, name, dual)
            if result is None:
                return None
            tangent: Tensor | None = forward_ad.unpack_dual(result).tangent  # type: ignore[no-untyped-call]
            return torch.zeros_like(result) if tangent is None else tangent
    except (RuntimeError, NotImplementedError):
        return None


def _spread(tensor: Tensor) -> Tensor:
    """The same numbers with a gap after each."""
    wide = tensor.new_zeros(*tensor.shape, 2)
    wide[..., 0] = tensor
    return wide[..., 0]


def _place(place: int) -> str:
    return "the result" if place == 0 else f"the gradient of input {place}"


class _Recorder(TorchDispatchMode):
    """Keeps the custom ops that are called, with their arguments, once each."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: dict[str, tuple[Any, tuple[Any, ...]]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func.namespace not in ("aten", "prim", "prims") and not kwargs:
            self.seen.setdefault(str(func), (func, args))
        return func(*args, **(kwargs or {}))


@contextmanager
def _custom_ops() -> Iterator[list[tuple[Any, tuple[Any, ...]]]]:
    found: list[tuple[Any, tuple[Any, ...]]] = []
    with _Recorder() as recorder:
        yield found
    found += recorder.seen.values()


@contextmanager
def _fresh_compiler() -> Iterator[None]:
    torch.compiler.reset()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.compiler.reset()


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
"""For implementations, and for ops by way of theirs."""

OP_CHECKS = checks(has_a_definition_with_right_gradients)
"""For ops alone."""
