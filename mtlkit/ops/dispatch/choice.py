"""The choice of an implementation: argument, then context, then environment, then the cost model.

An explicit choice that cannot run is an error that states why. Everything is decided from the
request before the call, so that it can be traced: a compiled graph keeps the choice it was traced
with.

The context is ambient, like `torch.autocast`: an op runs in the `forward` of heads, routers and
users' modules, whose signatures have no argument for it. It holds what `use` is passed, the choices
and the op table, and never a catalog; it loads no plugin, and `implementation` overrides it.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import NamedTuple

import torch

from mtlkit.errors import ImplementationError, MtlkitError, did_you_mean
from mtlkit.ops.dispatch.device import fits
from mtlkit.ops.dispatch.estimate import TABLE, estimate, round_up
from mtlkit.ops.dispatch.implementation import Implementation, Op, Request
from mtlkit.ops.dispatch.table import REGISTERED, OpTable, require_op

AUTO = "auto"
"""Leave the choice to the cost model."""

CHOICES = "MTLKIT_OPS"
"""The environment variable with choices: ``linear_cross_entropy=chunked,gate=eager``."""

CACHE_SIZE = 1024
"""Number of requests whose choice is cached; the last batch of an epoch has its own row count."""


class _Context(NamedTuple):
    """Everything that the enclosing `use` blocks set."""

    table: OpTable = REGISTERED
    choices: Mapping[str, str | Implementation] = {}


_context: ContextVar[_Context] = ContextVar("mtlkit_ops", default=_Context())  # noqa: B039


@contextmanager
def use(table: OpTable | None = None, /, **choices: str | Implementation) -> Iterator[None]:
    """Choose implementations for the calls inside: ``with use(linear_cross_entropy="chunked"):``.

    A choice is a name or an `Implementation`; contexts add up, the inner one first. Names of
    plugins' ops and implementations are looked up in `table`, and in what `register` added. An op
    with a namespace is given as in ``use(**{"acme/focal": "fused"})``. `ImplementationError` for an
    unknown op.
    """
    outer = _context.get()
    inner = _Context(outer.table if table is None else table, {**outer.choices, **choices})
    token = _context.set(inner)
    try:
        for name in choices:
            find_op(name, "use(): ")
        yield
    finally:
        _context.reset(token)


def find_op(name: str, place: str = "") -> Op:
    """Return the op named `name`; an error that begins with `place` if there is none."""
    table = _context.get().table
    for lookup in (REGISTERED.ops, table.ops):
        if name in lookup:
            return lookup.get(name)
    if "/" in name:
        try:
            return table.ops.get(name)  # its error states the reason
        except MtlkitError as cause:
            cause.args = (f"{place}{cause}", *cause.args[1:])
            raise
    names = dict.fromkeys([*REGISTERED.ops.names(), *table.ops.names()])
    raise ImplementationError(
        f"{place}no op named {name!r}{did_you_mean(name, names)}; the ops are {', '.join(names)}"
    )


def find_implementation(op: Op, choice: str | Implementation) -> Implementation:
    """Return the implementation of `op` that is chosen; an error if there is none."""
    if isinstance(choice, Implementation):
        return require_op(op, choice)
    table = REGISTERED if choice in REGISTERED.implementations else _context.get().table
    return table.implementation(op, choice)


def left_open(choice: str) -> str | None:
    """Return a recipe's choice as the argument of an op: None for ``auto``.

    The context and the environment still apply to what a recipe leaves open; the argument ``auto``
    would override them.

    >>> left_open("auto"), left_open("eager")
    (None, 'eager')
    """
    return None if choice == AUTO else choice


def environment_choices() -> str:
    """Return the choices in the environment as they are typed; empty if there are none."""
    return " ".join(f"{name}={os.environ[name]}" for name in (CHOICES, TABLE) if name in os.environ)


def interpreting() -> bool:
    """Return whether Triton interprets its kernels, which needs no GPU and is slow."""
    return os.environ.get("TRITON_INTERPRET") == "1"


class Candidate(NamedTuple):
    """An implementation, as `explain` lists it.

    `refuses` is the reason why it cannot run, or empty; `chosen` is the source of the choice if it
    is the one that would run.
    """

    name: str
    summary: str
    refuses: str
    seconds: float
    peak: float
    chosen: str


def explain(
    op: Op, request: Request, argument: str | Implementation | None = None
) -> list[Candidate]:
    """Return each implementation of `op` with its estimates or the reason why it cannot run.

    Those of plugins come last.
    """
    try:
        chosen, source = _decide(op, request, argument)
    except MtlkitError:
        chosen, source = None, ""
    others = {
        **REGISTERED.implementations_of(op), **_context.get().table.implementations_of(op),
    }  # fmt: skip
    return [
        Candidate(
            impl.name,
            impl.summary,
            impl.refuses(request),
            estimate(op, impl, request),
            impl.cost(request).peak,
            source if impl is chosen else "",
        )
        for impl in (*op.implementations.values(), *others.values())
    ]


def chosen_name(op: Op, argument: str | Implementation | None, *request: object) -> str:
    """Return the name of the implementation that serves a request, given as its fields.

    The implementation is put into `op.chosen`, from which a traced graph can read it.
    """
    chosen, _ = _decide(op, Request(*request), argument)  # type: ignore[arg-type]
    if chosen.name not in op.implementations:
        op.chosen[chosen.name] = chosen
    return chosen.name


# as the decorator `torch.compiler.assume_constant_result` does, which imports the compiler: 1.5 s
chosen_name._dynamo_marked_constant = True  # type: ignore[attr-defined]


def choose(op: Op, request: Request, argument: str | Implementation | None) -> Implementation:
    """Return the implementation of `op` that serves `request`; an error states why none does.

    While a graph is traced, sizes are rounded up to a few steps: the graph then holds for the whole
    step, and a size that varies does not stop the trace.
    """
    if not torch.compiler.is_compiling():
        return _decide(op, request, argument)[0]
    rows, classes = round_up(request.rows), round_up(request.classes)
    request = request._replace(rows=rows, classes=classes)
    return op.chosen[chosen_name(op, argument, *request)]


def _decide(
    op: Op, request: Request, argument: str | Implementation | None
) -> tuple[Implementation, str]:
    """Return the implementation that runs, and the source of the choice."""
    for choice, source in (
        (argument, "argument"),
        (_context.get().choices.get(op.name), "context"),
        (_environment(op.name), "environment"),
    ):
        if choice is not None and choice != AUTO:
            implementation = find_implementation(op, choice)
            if reason := implementation.refuses(request):
                raise ImplementationError(
                    f"{op.name}: {implementation.name!r}, chosen by {source}, cannot run: "
                    f"{reason}; `mtlkit ops explain {op.name}` shows what can"
                )
            return implementation, source
        if choice == AUTO:
            break
    return _fastest(op, request, os.environ.get(TABLE)), AUTO


@lru_cache(maxsize=CACHE_SIZE)
def _fastest(op: Op, request: Request, table: str | None) -> Implementation:
    """Return the fastest implementation whose memory fits, or else the one with least memory.

    `table` is only part of the key of this cache.
    """
    able = [impl for impl in op.implementations.values() if not impl.refuses(request)]
    if not able:
        reasons = "; ".join(f"{i.name}: {i.refuses(request)}" for i in op.implementations.values())
        raise ImplementationError(f"{op.name}: no implementation can serve this: {reasons}")
    automatic = [impl for impl in able if impl.automatic]
    fitting = [impl for impl in automatic if fits(impl.cost(request), request)]
    if not fitting:
        return min(automatic or able, key=lambda impl: impl.cost(request).peak)
    return min(fitting, key=lambda impl: estimate(op, impl, request))


def _environment(op: str) -> str | None:
    """Return the choice for `op` in the environment variable; every op in it must exist."""
    text = os.environ.get(CHOICES)
    if not text:
        return None
    choices = _parsed(text)
    for name in choices:
        # without a table nothing is known about the ops of plugins, and these have no effect
        if "/" not in name or _context.get().table is not REGISTERED:
            find_op(name, f"{CHOICES}: ")
    return choices.get(op)


@lru_cache(maxsize=16)
def _parsed(text: str) -> Mapping[str, str]:
    choices = {}
    for pair in filter(None, text.split(",")):
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or not value:
            raise ImplementationError(
                f"{CHOICES}: expected op=implementation, separated by commas; got {pair!r}"
            )
        choices[name] = value
    return choices
