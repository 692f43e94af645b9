"""The registries of ops and of implementations, which hold values and not component classes."""

from importlib import import_module
from typing import Any, Generic, TypeVar

from mtlkit.errors import LoadFailedError
from mtlkit.plugins.namespaced_registry import NamespacedRegistry
from mtlkit.plugins.registry import Entry, Registry

T = TypeVar("T")


class ValueRegistry(Registry[Any], Generic[T]):
    """Maps names to values of the class at `target`, each registered under its own name."""

    def __init__(self, family: str, target: str) -> None:
        super().__init__(family)
        self._target = target

    def get(self, name: str) -> T:  # type: ignore[override]
        """Return the value, imported on first use."""
        value: T = super().get(name)  # type: ignore[assignment]
        return value

    def _check(self, entry: Entry, component: object) -> None:
        module, _, name = self._target.partition(":")
        if not isinstance(component, getattr(import_module(module), name)):
            problem = f"is of type {type(component).__name__}; expected an {name}"
        elif component.name != entry.name:
            problem = f"has the name {component.name!r}; expected {entry.name!r}"
        else:
            return
        raise LoadFailedError(
            f"the {self.family} {entry.name!r} of {entry.origin}: {entry.target!r} {problem}",
            family=self.family,
            name=entry.name,
        )


class NamespacedValues(NamespacedRegistry[Any], Generic[T]):
    """One family of values, as a plugin sees it while it registers."""

    def add(self, name: str, target: str | T, summary: str = "") -> None:  # type: ignore[override]
        """Register `target`, a value or better ``"module:NAME"``, which is imported on first use.

        A plugin's names start with its namespace: ``acme/focal``; the value has the same name.
        """
        super().add(name, target, summary)  # type: ignore[arg-type]
