"""The ops and the implementations that plugins bring, found by name when they are asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING

from mtlkit.errors import ImplementationError, MtlkitError, did_you_mean
from mtlkit.ops.dispatch.names import IMPLEMENTATIONS
from mtlkit.plugins.catalog import Catalog, load_catalog, selection_here

if TYPE_CHECKING:
    from mtlkit.ops.configs import HeadOp, OpImplementation
    from mtlkit.ops.dispatch.implementation import Implementation, Op
    from mtlkit.plugins.registry import Entry, Registry

_context: ContextVar[Catalog | None] = ContextVar("mtlkit_ops_catalog", default=None)


@contextmanager
def searched_in(catalog: Catalog) -> Iterator[None]:
    """Look for ops and implementations in `catalog` inside, not among what is installed."""
    token = _context.set(catalog)
    try:
        yield
    finally:
        _context.reset(token)


def current_catalog() -> Catalog:
    """The catalog that is searched: that of `searched_in`, or else the installed plugins'."""
    found = _context.get()
    return _installed(selection_here()) if found is None else found


@cache
def _installed(selection: str | None) -> Catalog:
    return load_catalog(selection)


def known_op(name: str, place: str = "") -> str:
    """The name of an op, if there is one; an `ImplementationError` begins with `place` if not."""
    if name in IMPLEMENTATIONS:
        return name
    registry = current_catalog().ops
    if registry.blocked(name) is not None:
        registry.entry(name)  # its error says why it cannot be had
    if name not in registry:
        known = registry.names()
        raise ImplementationError(
            f"{place}no op named {name!r}{did_you_mean(name, known)}; the ops are "
            f"{', '.join(known)}"
        )
    return name


def implementation_class(op: str, name: str, like: str = "") -> "type[OpImplementation]":
    """The component called `name`, which implements `op`, or one that is called `like` it.

    Raises what the registry does where there is none, and `ImplementationError` where it
    implements something else.
    """
    found = current_catalog().implementations.get(name)
    if found.op not in (op, like):
        raise ImplementationError(f"{name!r} is an implementation of {found.op}, not of {op}")
    return found


def implementation_of(op: "Op", name: str) -> "Implementation":
    """The plugin's implementation of `op` called `name`, built once; errors as above."""
    kind = implementation_class(op.name, name, op.like)
    return _built(current_catalog().implementations.entry(name), kind)


@cache
def _built(entry: "Entry", kind: "type[OpImplementation]") -> "Implementation":
    from mtlkit.ops.dispatch.implementation import Implementation

    found: object = kind().build()
    if not isinstance(found, Implementation):
        raise ImplementationError(
            f"{entry.name!r} of {entry.origin}: build gives an object of type "
            f"{type(found).__name__}; expected an Implementation"
        )
    return found._replace(name=entry.name, automatic=False)


def implementations_of(op: "Op") -> dict[str, "Implementation | str"]:
    """Every plugin's implementation of `op` by name; what hinders one, where one cannot be had."""
    found: dict[str, Implementation | str] = {}
    registry = current_catalog().implementations
    for entry in registry:
        if broken(registry, entry) or registry.get(entry.name).op not in (op.name, op.like):
            continue
        try:
            found[entry.name] = implementation_of(op, entry.name)
        except Exception as cause:  # a stranger's module: it is a line of a list, not the list
            found[entry.name] = f"{type(cause).__name__}: {cause}"
    return found


def broken(registry: "Registry[OpImplementation]", entry: "Entry") -> str:
    """Why the class of an implementation cannot be had, so that nobody knows of which op it is."""
    try:
        registry.get(entry.name)
    except MtlkitError as cause:
        return str(cause)
    return ""


def op_called(name: str) -> "Op":
    """The op of this name; `ImplementationError` where there is none."""
    registry = current_catalog().ops
    known_op(name)
    return _op(registry.entry(name), registry.get(name))


@cache
def _op(entry: "Entry", kind: "type[HeadOp]") -> "Op":
    from mtlkit.ops.dispatch.implementation import Op

    found: object = kind().build()
    if not isinstance(found, Op) or found.name != entry.name:
        told = (
            f"the op {found.name!r}"
            if isinstance(found, Op)
            else f"an object of type {type(found).__name__}"
        )
        raise ImplementationError(
            f"the op {entry.name!r} of {entry.origin}: build gives {told}; expected an Op of that "
            f"name"
        )
    return found
