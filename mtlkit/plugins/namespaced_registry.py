"""One family as a plugin sees it while it registers."""

import inspect
from typing import Generic, TypeVar

from mtlkit.component import Component
from mtlkit.errors import InvalidNameError
from mtlkit.plugins.registry import VERSION, Entry, Origin, Registry

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

        A plugin's names start with its namespace: ``acme/halves``. A version other than the first
        is added as ``acme/halves@2``, beside the older ones, which resolved recipes ask for.
        """
        bare, pin, version = name.rpartition("@")
        if pin and not VERSION.fullmatch(version):
            raise InvalidNameError(
                f"the name {name!r} ends in {pin + version!r}; expected a version such as '@2'"
            )
        name, number = (bare, int(version)) if pin else (name, 1)
        namespace, slash, _ = name.partition("/")
        if self._namespace and (not slash or namespace != self._namespace):
            raise InvalidNameError(
                f"the name {name!r} lies outside the plugin's namespace; "
                f"expected '{self._namespace}/...'"
            )
        if isinstance(target, str):
            entry = Entry(self._registry.family, name, target, summary, self._origin, number)
            self.added.append((entry, None))
        else:
            kind = target if isinstance(target, type) else type(target)  # ops are values
            path = f"{kind.__module__}:{kind.__qualname__}"
            summary = summary or (inspect.getdoc(target) or "").partition("\n")[0]
            entry = Entry(self._registry.family, name, path, summary, self._origin, number)
            self.added.append((entry, target))

    def commit(self) -> None:
        """Put what was added into the registry."""
        for entry, component in self.added:
            self._registry.add(entry, component)

    def rollback(self) -> None:
        """Take what was committed out of the registry again."""
        for entry, _ in self.added:
            self._registry.remove(entry)
