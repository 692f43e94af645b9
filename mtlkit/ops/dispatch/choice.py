"""Which implementation runs: argument, then context, then environment, then the cost model.

An explicit choice that cannot run is an error that says why. Everything is decided by what is known
before the call, so that it can be traced: a compiled graph keeps the choice it was traced with.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch

from mtlkit.errors import ImplementationError, MtlkitError
from mtlkit.ops.dispatch.device import fits, seconds
from mtlkit.ops.dispatch.implementation import Implementation, Op, Request
from mtlkit.ops.dispatch.names import AUTO
from mtlkit.ops.dispatch.plugin_ops import implementations_of, known_op

CHOICES = "MTLKIT_OPS"
"""The environment variable with choices: ``linear_cross_entropy=classes,gate=eager``."""

TABLE = "MTLKIT_OPS_TABLE"
"""The environment variable with the path of a table written by ``mtlkit ops tune``."""

REMEMBERED = 1024
"""For how many requests the choice is kept; the last batch of an epoch, or each, has its rows."""

_Function = TypeVar("_Function", bound=Callable[..., object])

_context: ContextVar[Mapping[str, str]] = ContextVar("mtlkit_ops", default={})  # noqa: B039


@contextmanager
def use(**choices: str) -> Iterator[None]:
    """Choose implementations for the calls inside: ``with use(linear_cross_entropy="classes"):``.

    Several contexts add up, the inner one first. An op with a namespace is given as in
    ``use(**{"acme/focal": "fused"})``. `ImplementationError` for an unknown op.
    """
    for name in choices:
        known_op(name, "use(): ")
    token = _context.set({**_context.get(), **choices})
    try:
        yield
    finally:
        _context.reset(token)


def of_environment() -> str:
    """What the environment says of the choice, as it is typed; empty where it is silent."""
    return " ".join(f"{name}={os.environ[name]}" for name in (CHOICES, TABLE) if name in os.environ)


class Line(NamedTuple):
    """What `explain` says of one implementation; `chosen` tells by what, where it is chosen."""

    name: str
    refuses: str
    seconds: float
    peak: float
    chosen: str


def interpreting() -> bool:
    """Whether Triton is told to interpret its kernels, which needs no GPU and much patience."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def explain(op: Op, request: Request, argument: str | None = None) -> list[Line]:
    """Each implementation of `op`: why it cannot serve `request`, time, memory, and the choice.

    Those of plugins come last.
    """
    try:
        name, by = _decide(op, request, argument)
    except MtlkitError:
        name, by = "", ""
    lines = []
    for own, each in [*op.implementations.items(), *implementations_of(op).items()]:
        if isinstance(each, str):
            lines.append(Line(own, each, 0.0, 0.0, ""))
            continue
        seconds, peak = estimate(op, each, request), each.cost(request).peak
        lines.append(Line(own, each.refuses(request), seconds, peak, by if own == name else ""))
    return lines


def _constant_in_graphs(function: _Function) -> _Function:
    """Mark `function` as `torch.compiler.assume_constant_result` does.

    The decorator of torch imports the compiler, which takes 1.5 s of CPU, to set this attribute.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


@_constant_in_graphs
def chosen_name(op: Op, argument: str | None, *request: object) -> str:
    """The name of the implementation that serves a request, given as its fields.

    It is put at hand of the op, where a traced graph finds a plugin's like the others.
    """
    name = _decide(op, Request(*request), argument)[0]  # type: ignore[arg-type]
    if name not in op.implementations:
        op.at_hand[name] = op[name]
    return name


def choose(op: Op, request: Request, argument: str | None) -> Implementation:
    """The implementation of `op` that serves `request`; `ImplementationError` says why none does.

    While a graph is traced, sizes are rounded up to a few steps: the graph then holds for the whole
    step, and a size that varies does not stop the trace.
    """
    if torch.compiler.is_compiling():
        rows, classes = _step(request.rows), _step(request.classes)
        request = request._replace(rows=rows, classes=classes)
    return op.at_hand[chosen_name(op, argument, *request)]


def estimate(op: Op, implementation: Implementation, request: Request) -> float:
    """Seconds: from the tuned table where it has this step of sizes, else from the cost model."""
    path = os.environ.get(TABLE)
    if path:
        measured = _table(path).get(table_key(op.name, request), {})
        if implementation.name in measured:
            return measured[implementation.name]
    return seconds(implementation.cost(request), request)


def table_key(op: str, request: Request) -> str:
    """Under which key a tuned table keeps the times of requests like this one.

    >>> table_key("gate", Request(500, 512, 4))
    'gate cpu float32 rows<=512 features<=512 classes<=32 parts<=1 gradient reduction=mean'
    """
    return (
        f"{op} {request.device} {str(request.dtype).removeprefix('torch.')} "
        f"rows<={_step(request.rows)} features<={_step(request.features)} "
        f"classes<={_step(request.classes)} parts<={_few(request.parts)} "
        f"{'gradient' if request.gradient else 'forward'} reduction={request.reduction}"
    )


def _decide(op: Op, request: Request, argument: str | None) -> tuple[str, str]:
    """The name of the implementation, and by what it was chosen."""
    for name, by in (
        (argument, "argument"),
        (_context.get().get(op.name), "context"),
        (_environment(os.environ.get(CHOICES, "")).get(op.name), "environment"),
    ):
        if name is not None and name != AUTO:
            reason = op[name].refuses(request)
            if reason:
                raise ImplementationError(
                    f"{op.name}: {name!r}, chosen by {by}, cannot run: {reason}; "
                    f"`mtlkit ops explain {op.name}` shows what can"
                )
            return name, by
        if name == AUTO:
            break
    return _fastest(op, request, os.environ.get(TABLE)), AUTO


@lru_cache(maxsize=REMEMBERED)
def _fastest(op: Op, request: Request, table: str | None) -> str:
    """The fastest implementation whose memory fits, or else the one that needs least memory.

    `table` is part of the key of this memory only.
    """
    able = [each for each in op.implementations.values() if not each.refuses(request)]
    if not able:
        reasons = "; ".join(f"{i.name}: {i.refuses(request)}" for i in op.implementations.values())
        raise ImplementationError(f"{op.name}: no implementation can serve this: {reasons}")
    automatic = [each for each in able if each.automatic]
    fitting = [each for each in automatic if fits(each.cost(request), request)]
    if not fitting:
        return min(automatic or able, key=lambda each: each.cost(request).peak).name
    return min(fitting, key=lambda each: estimate(op, each, request)).name


@lru_cache(maxsize=16)
def _environment(text: str) -> dict[str, str]:
    """The choices in the environment variable."""
    choices = {}
    for pair in filter(None, text.split(",")):
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or not value:
            raise ImplementationError(
                f"{CHOICES}: expected op=implementation, separated by commas; found {pair!r}"
            )
        choices[known_op(name, f"{CHOICES}: ")] = value
    return choices


@lru_cache(maxsize=16)
def _table(path: str) -> dict[str, dict[str, float]]:
    """The tuned table, which must have been measured by the same torch on the same device."""
    try:
        table = json.loads(Path(path).read_text(encoding="utf-8"))
        torch_version, seconds_by_key = table["torch"], table["seconds"]
        gpu = table.get("gpu", "")
    except (OSError, ValueError, KeyError, TypeError) as cause:
        raise ImplementationError(
            f"{TABLE}: {path} is no table of `mtlkit ops tune`: {type(cause).__name__}: {cause}"
        ) from cause
    if torch_version != torch.__version__:
        raise ImplementationError(
            f"{TABLE}: {path} was measured with torch {torch_version}, this is torch "
            f"{torch.__version__}; run `mtlkit ops tune` again"
        )
    if gpu and gpu != gpu_name():
        raise ImplementationError(
            f"{TABLE}: {path} was measured on {gpu}, this is {gpu_name() or 'no GPU'}; run "
            f"`mtlkit ops tune` again"
        )
    found: dict[str, dict[str, float]] = seconds_by_key
    if strange := next((key for key in found if " parts<=" not in key), ""):
        raise ImplementationError(
            f"{TABLE}: {path} has the line {strange!r}, as another mtlkit wrote it; run `mtlkit "
            f"ops tune` again"
        )
    return found


def gpu_name() -> str:
    """What the GPU is called; nothing where there is none."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else ""


def _step(size: int) -> int:
    """The size rounded up: by 2 where a batch may be small, by 4 beyond."""
    for bound in (32, 64, 128, 256, 512, 1024, 4096, 16384, 65536, 262144, 1048576):
        if size <= bound:
            return bound
    return 2**30


def _few(parts: int) -> int:
    """The number of heads or groups rounded up: one has no other beside it, a few are alike."""
    return 1 if parts <= 1 else 8 if parts <= 8 else _step(parts)
