"""A registry: the names of one family, the components behind them, and who brought each."""

import contextlib
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

TARGET = re.compile(r"[\w.<>]+:[\w.<>]+")  # a class defined in a function has <locals> in its path


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
    cause: BaseException | None = None


class Registry(Generic[C]):
    """Maps the names of one family to component classes.

    >>> from mtlkit.weighting.configs import Weighting
    >>> weightings = Registry[Weighting]("weighting")
    >>> me = Origin("acme", "1.0", "acme/plugin.py")
    >>> weightings.add(Entry("weighting", "acme/even", "mtlkit.weighting.configs:Equal", "", me))
    >>> weightings.get("acme/even").__name__
    'Equal'
    """

    def __init__(self, family: str, plural: str = "") -> None:
        self.family = family
        self.plural = plural or f"{family}s"
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
        if not TARGET.fullmatch(entry.target):
            raise InvalidNameError(
                f"{entry.origin} ({entry.origin.file}): the {self.family} {entry.name!r} has the "
                f"target {entry.target!r}; expected 'module:Class'"
            )
        if component is not None:
            self._check(entry, component)
        self._entries[entry.name] = entry
        if component is not None:
            self._classes[entry.name] = component
            self._names.setdefault(component, entry.name)

    def remove(self, entry: Entry) -> None:
        """Take `entry` out again, after a registration that failed midway."""
        if self._entries.get(entry.name) == entry:
            del self._entries[entry.name]
            component = self._classes.pop(entry.name, None)
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
        found = self.blocked(name)
        if found is not None:
            raise found.error(
                f"the {self.family} {name!r} cannot be had: {found.reason}",
                family=self.family,
                name=name,
            ) from found.cause
        raise UnknownComponentError(
            f"no {self.family} named {name!r}{self._suggestion(name)} "
            f"`mtlkit list {self.plural}` shows all {len(self)}",
            family=self.family,
            name=name,
        )

    def blocked(self, name: str) -> Unusable | None:
        """Why the namespace of `name` cannot be had, if it cannot."""
        namespace, slash, _ = name.partition("/")
        return self._unusable.get(namespace) if slash else None

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
            # a target may name another module, which imports the class from its own
            for entry in self:
                if re.split("[.:]", entry.target)[-1] == component.__name__:
                    with contextlib.suppress(LoadFailedError):
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
            return ";"
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
        self._check(entry, component)
        found: type[C] = component
        return found

    def _check(self, entry: Entry, component: object) -> None:
        if not (isinstance(component, type) and issubclass(component, Component)):
            problem = "is no component; expected a class derived from mtlkit.config.Component"
        elif "__attrs_attrs__" not in vars(component):
            problem = "is not decorated; put @attrs.frozen(kw_only=True) above the class"
        else:
            return
        raise LoadFailedError(
            f"the {self.family} {entry.name!r} of {entry.origin}: {entry.target!r} {problem}",
            family=self.family,
            name=entry.name,
        )
