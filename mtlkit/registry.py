"""A registry: the names of one family, the components behind them, and who brought each."""

import difflib
import importlib
import re
from collections.abc import Iterator
from typing import Generic, TypeVar

import attrs

from mtlkit.config import Component
from mtlkit.errors import (
    ComponentError,
    DuplicateNameError,
    InvalidNameError,
    LoadFailedError,
    UnknownComponentError,
)

C = TypeVar("C", bound=Component)

NAME = re.compile(r"(?:[a-z0-9][a-z0-9_.-]*/)?[a-z0-9][a-z0-9_.-]*")


@attrs.frozen
class Origin:
    """Who brought a name: the distribution, its version, and the file of its plugin module."""

    distribution: str
    version: str
    file: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"


@attrs.frozen
class Entry:
    """A registered name: its target (``"module:Class"``, imported on first use) and its origin."""

    family: str
    name: str
    target: str
    summary: str
    origin: Origin


@attrs.frozen
class Unusable:
    """Names that exist but cannot be had, and the error that asking for one raises."""

    namespace: str
    error: type[ComponentError]
    reason: str


class Registry(Generic[C]):
    """Maps the names of one family to component classes.

    >>> from mtlkit.weighting.configs import Weighting
    >>> weightings = Registry[Weighting]("weighting")
    >>> me = Origin("acme", "1.0", "acme/plugin.py")
    >>> weightings.add(Entry("weighting", "acme/even", "mtlkit.weighting.configs:Equal", "", me))
    >>> weightings.get("acme/even").__name__
    'Equal'
    """

    def __init__(self, family: str) -> None:
        self.family = family
        self._entries: dict[str, Entry] = {}
        self._classes: dict[str, type[C]] = {}
        self._names: dict[type[C], str] = {}
        self._unusable: dict[str, Unusable] = {}

    def add(self, entry: Entry, component: type[C] | None = None) -> None:
        """Register `entry`; `DuplicateNameError` names both owners, `InvalidNameError` the rule.

        A `component` given as a class, rather than by its import path, needs no later import.
        """
        if not NAME.fullmatch(entry.name):
            raise InvalidNameError(
                f"{entry.origin} ({entry.origin.file}): {entry.name!r} is no name for a "
                f"{self.family}; expected lower-case letters, digits, '.', '_' and '-', after at "
                f"most one 'namespace/'"
            )
        owner = self._entries.get(entry.name)
        if owner is not None:
            raise DuplicateNameError(
                f"two owners of the {self.family} {entry.name!r}: {owner.origin} "
                f"({owner.origin.file}) and {entry.origin} ({entry.origin.file}); "
                f"rename one, or leave one out with MTLKIT_PLUGINS"
            )
        self._entries[entry.name] = entry
        if component is not None:
            self._classes[entry.name] = component
            self._names.setdefault(component, entry.name)

    def remove_origin(self, origin: Origin) -> None:
        """Take out everything that `origin` brought, after a registration that failed midway."""
        for name in [name for name, entry in self._entries.items() if entry.origin == origin]:
            del self._entries[name]
            component = self._classes.pop(name, None)
            if component is not None:
                self._names.pop(component, None)

    def refuse(self, unusable: Unusable) -> None:
        """Remember that the names of a namespace cannot be had, and why."""
        self._unusable[unusable.namespace] = unusable

    def names(self) -> list[str]:
        """All names, built-in ones first."""
        return sorted(self._entries, key=lambda name: ("/" in name, name))

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries[name] for name in self.names())

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def entry(self, name: str) -> Entry:
        """The entry called `name`, without importing it."""
        if name in self._entries:
            return self._entries[name]
        namespace, slash, _ = name.partition("/")
        if slash and namespace in self._unusable:
            found = self._unusable[namespace]
            raise found.error(
                f"the {self.family} {name!r} cannot be had: {found.reason}",
                family=self.family,
                name=name,
            )
        raise UnknownComponentError(
            f"no {self.family} named {name!r}{self._suggestion(name)}; "
            f"`mtlkit list {self.family}` shows all {len(self)}",
            family=self.family,
            name=name,
        )

    def get(self, name: str) -> type[C]:
        """The component class called `name`, imported on first use."""
        if name not in self._classes:
            entry = self.entry(name)
            component = self._load(entry)
            self._classes[name] = component
            self._names.setdefault(component, name)
        return self._classes[name]

    def name_of(self, component: type[C]) -> str:
        """The name under which the class `component` is registered."""
        if component not in self._names:
            wanted = f"{component.__module__}:{component.__qualname__}"
            for entry in self:
                if entry.target == wanted:
                    self.get(entry.name)
        if component not in self._names:
            raise UnknownComponentError(
                f"{component.__module__}.{component.__qualname__} is registered as no "
                f"{self.family}; add it in the plugin's mtlkit_register",
                family=self.family,
                name=component.__qualname__,
            )
        return self._names[component]

    def _suggestion(self, name: str) -> str:
        pool = list(self._entries)
        near = difflib.get_close_matches(name, pool, n=1, cutoff=0.6)
        if not near:  # a plugin's name, asked for without its namespace
            near = [known for known in pool if known.rpartition("/")[2] == name][:1]
        if not near:
            return ""
        entry = self._entries[near[0]]
        owner = "built in" if "/" not in entry.name else f"from {entry.origin}"
        return f"; did you mean {entry.name!r} ({owner})?"

    def _load(self, entry: Entry) -> type[C]:
        module_name, _, attribute = entry.target.partition(":")
        try:
            module = importlib.import_module(module_name)
            component = getattr(module, attribute)
        except Exception as cause:  # whatever a stranger's module raises belongs to that component
            raise LoadFailedError(
                f"the {self.family} {entry.name!r} of {entry.origin} failed to import from "
                f"{entry.target!r}: {type(cause).__name__}: {cause}",
                family=self.family,
                name=entry.name,
            ) from cause
        if not (isinstance(component, type) and issubclass(component, Component)):
            raise LoadFailedError(
                f"the {self.family} {entry.name!r} of {entry.origin}: {entry.target!r} is no "
                f"component; expected a class derived from mtlkit.config.Component",
                family=self.family,
                name=entry.name,
            )
        return component
