"""Ops and implementations by name: the built-in ones, registered ones, and those of plugins.

An `OpTable` holds two lookups, such as a catalog's registries of ops and of implementations.
`register` adds to the table that always applies; `mtlkit.ops.use` applies another one to the calls
inside it.
"""

from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from typing import Generic, NamedTuple, Protocol, TypeVar, cast

from mtlkit.errors import ImplementationError, MtlkitError, did_you_mean
from mtlkit.ops.builtins import BUILTIN_OPS
from mtlkit.ops.dispatch.implementation import Implementation, Op

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Lookup(Protocol[T_co]):
    """Values by name; `get` raises an `MtlkitError` for a name that has none."""

    def names(self) -> list[str]: ...

    def __contains__(self, name: str) -> bool: ...

    def get(self, name: str) -> T_co: ...


class Registrations(Generic[T]):
    """Values by name; a target ``"module:NAME"`` is imported on first use."""

    def __init__(self, kind: str, targets: Mapping[str, str]) -> None:
        self._kind = kind
        self._values: dict[str, T | str] = dict(targets)

    def names(self) -> list[str]:
        """Return all names, in the order of registration."""
        return list(self._values)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def get(self, name: str) -> T:
        """Return the value; `ImplementationError` if there is none."""
        if name not in self:
            raise ImplementationError(
                f"no {self._kind} named {name!r} is registered{did_you_mean(name, self.names())}; "
                f"register it with mtlkit.ops.register, or use the value itself"
            )
        value = self._values[name]
        if isinstance(value, str):
            module, _, attribute = value.partition(":")
            value = self._values[name] = getattr(import_module(module), attribute)
        return cast("T", value)

    def add(self, name: str, value: T) -> None:
        """Register `value`; `ImplementationError` if the name has another one."""
        if name in self and self.get(name) is not value:
            raise ImplementationError(
                f"the {self._kind} {name!r} is registered already; give this one another name"
            )
        self._values[name] = value


class OpTable(NamedTuple):
    """Ops and implementations by name."""

    ops: Lookup[Op]
    implementations: Lookup[Implementation]

    def implementation(self, op: Op, name: str) -> Implementation:
        """Return the implementation of `op` named `name`, from the op or from this table.

        `ImplementationError`, or the lookup's error, if there is none.
        """
        if name in op.implementations:
            return op.implementations[name]
        if "/" not in name and name not in self.implementations:
            raise ImplementationError(
                f"{op.name} has no implementation named {name!r}"
                f"{did_you_mean(name, op.implementations)}; "
                f"it has {', '.join(op.implementations)}"
            )
        return require_op(op, self.implementations.get(name))

    def implementations_of(self, op: Op) -> dict[str, Implementation]:
        """Return the table's implementations of `op`, without those that fail to load."""
        usable: dict[str, Implementation] = {}
        for name in self.implementations.names():
            with suppress(MtlkitError):
                implementation = self.implementations.get(name)
                if _implements(implementation, op):
                    usable[name] = implementation
        return usable


REGISTERED = OpTable(
    Registrations[Op]("op", {name: target for name, (target, _) in BUILTIN_OPS.items()}),
    Registrations[Implementation]("implementation", {}),
)
"""The built-in ops, and everything that `register` added."""


def builtin_ops() -> dict[str, Op]:
    """Return the built-in ops by name."""
    return {name: REGISTERED.ops.get(name) for name in BUILTIN_OPS}


def register(value: Op | Implementation) -> None:
    """Make an op or an implementation available by its name, everywhere in this process.

    `ImplementationError` if another one has the name.
    """
    lookup = REGISTERED.ops if isinstance(value, Op) else REGISTERED.implementations
    assert isinstance(lookup, Registrations)
    lookup.add(value.name, value)


def require_op(op: Op, implementation: Implementation) -> Implementation:
    """Return the implementation; `ImplementationError` if it is one of another op."""
    if not _implements(implementation, op):
        other = implementation.op or "no op (its field `op` is empty)"
        raise ImplementationError(
            f"{implementation.name!r} is an implementation of {other}, not of {op.name}"
        )
    existing = op.implementations.get(implementation.name)
    if existing is not None and existing is not implementation:
        raise ImplementationError(
            f"{op.name} has an implementation named {existing.name!r} already; give this one "
            f"another name"
        )
    return implementation


def _implements(implementation: Implementation, op: Op) -> bool:
    listed = op.implementations.get(implementation.name) is implementation
    return listed or (implementation.op != "" and implementation.op in (op.name, op.like))
