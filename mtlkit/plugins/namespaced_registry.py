"""One family as a plugin sees it while it registers."""

import inspect
from typing import Generic, TypeVar

from mtlkit.component import Component
from mtlkit.errors import InvalidNameError
from mtlkit.plugins.registry import Entry, Origin, Registry

C = TypeVar("C", bound=Component)


class NamespacedRegistry(Generic[C]):
    """One family as a plugin sees it: `add`, within the plugin's namespace."""

    def __init__(self, registry: Registry[C], namespace: str, origin: Origin) -> None:
        self._registry = registry
        self._namespace = namespace
        self._origin = origin
        self.added: list[tuple[Entry, type[C] | None]] = []

    def add(self, name: str, target: str | type[C], summary: str = "") -> None:
        """Register `target`, a class or better ``"module:Class"``, which is imported on first use.

        A plugin's names start with its namespace: ``acme/halves``.
        """
        namespace, slash, _ = name.partition("/")
        if self._namespace and (not slash or namespace != self._namespace):
            raise InvalidNameError(
                f"the name {name!r} lies outside the plugin's namespace; "
                f"expected '{self._namespace}/...'"
            )
        component = None if isinstance(target, str) else target
        if not isinstance(target, str):
            summary = summary or (inspect.getdoc(target) or "").partition("\n")[0]
            target = f"{target.__module__}:{target.__qualname__}"
        entry = Entry(self._registry.family, name, target, summary, self._origin)
        self.added.append((entry, component))

    def commit(self) -> None:
        """Put what was added into the registry."""
        for entry, component in self.added:
            self._registry.add(entry, component)

    def rollback(self) -> None:
        """Take what was committed out of the registry again."""
        for entry, _ in self.added:
            self._registry.remove(entry)
