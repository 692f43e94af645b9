"""The registry of one family, restricted to the namespace of a plugin."""

import inspect
from typing import Generic, TypeVar

from mtlkit.errors import InvalidNameError
from mtlkit.plugins.registry import Entry, Origin, Registry

T = TypeVar("T")


class NamespacedRegistry(Generic[T]):
    """The registry of one family that a plugin adds to, within its namespace."""

    def __init__(self, registry: Registry[T], namespace: str, origin: Origin) -> None:
        self._registry = registry
        self._namespace = namespace
        self._origin = origin
        self.added: list[tuple[Entry, T | None]] = []

    def add(self, name: str, target: str | T, summary: str = "") -> None:
        """Register `target`: ``"module:NAME"``, imported on first use, or a component.

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
            kind = target if isinstance(target, type) else type(target)  # ops are values
            target = f"{kind.__module__}:{kind.__qualname__}"
        entry = Entry(self._registry.family, name, target, summary, self._origin)
        self.added.append((entry, component))

    def commit(self) -> None:
        """Add the collected entries to the registry."""
        for entry, component in self.added:
            self._registry.add(entry, component)

    def rollback(self) -> None:
        """Remove the committed entries from the registry."""
        for entry, _ in self.added:
            self._registry.remove(entry)
