"""A registry: the names of one family, the components behind them, and who brought each."""

import contextlib
import difflib
import importlib
import re
from collections.abc import Iterator
from typing import Generic, TypeVar

import attrs

from mtlkit.component import Component
from mtlkit.errors import (
    ComponentError,
    DuplicateNameError,
    InvalidNameError,
    LoadFailedError,
    UnknownComponentError,
)

C = TypeVar("C", bound=Component)

NAME = re.compile(r"(?:[a-z0-9][a-z0-9_.-]*/)?[a-z0-9][a-z0-9_.-]*")

VERSION = re.compile(r"[1-9][0-9]{0,5}")

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
    """A registered name: its target (``"module:Class"``, imported on first use) and its origin.

    Another `version` of a component has other options or gives other numbers. The bare name is
    that of the newest one.

    >>> Entry("head", "acme/tall", "acme:Tall", "", Origin("acme", "1.0", ""), version=2).pinned
    'acme/tall@2'
    """

    family: str
    name: str
    target: str
    summary: str
    origin: Origin
    version: int = 1

    @property
    def pinned(self) -> str:
        """The name with its version, which never comes to mean another component."""
        return f"{self.name}@{self.version}"


@attrs.frozen
class UnavailablePlugin:
    """Names that exist but cannot be had, and the error that asking for one raises."""

    namespace: str
    error: type[ComponentError]
    reason: str
    cause: BaseException | None = None


class Registry(Generic[C]):
    """Maps the names of one family to component classes.

    >>> from mtlkit.weightings.base import Weighting
    >>> weightings = Registry[Weighting]("weighting")
    >>> me = Origin("acme", "1.0", "acme/plugin.py")
    >>> weightings.add(Entry("weighting", "acme/even", "mtlkit.weightings.equal:Equal", "", me))
    >>> weightings.get("acme/even").__name__
    'Equal'
    """

    def __init__(self, family: str, plural: str = "") -> None:
        self.family = family
        self.plural = plural or f"{family}s"
        self._entries: dict[str, dict[int, Entry]] = {}  # by name and version
        self._classes: dict[str, type[C]] = {}  # by pinned name
        self._names: dict[type[C], str] = {}  # to pinned names
        self._unusable: dict[str, UnavailablePlugin] = {}

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
        owner = self._entries.get(entry.name, {}).get(entry.version)
        if owner is not None:
            raise DuplicateNameError(
                f"two owners of the {self.family} {self._shown(entry)!r}: {owner.origin} "
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
        self._entries.setdefault(entry.name, {})[entry.version] = entry
        if component is not None:
            self._classes[entry.pinned] = component
            self._names.setdefault(component, entry.pinned)

    def remove(self, entry: Entry) -> None:
        """Take `entry` out again, after a registration that failed midway."""
        versions = self._entries.get(entry.name, {})
        if versions.get(entry.version) == entry:
            del versions[entry.version]
            if not versions:
                del self._entries[entry.name]
            component = self._classes.pop(entry.pinned, None)
            if component is not None:
                self._names.pop(component, None)

    def refuse(self, unusable: UnavailablePlugin) -> None:
        """Remember that the names of a namespace cannot be had, and why."""
        self._unusable[unusable.namespace] = unusable

    def names(self) -> list[str]:
        """All names, built-in ones first."""
        return sorted(self._entries, key=lambda name: ("/" in name, name))

    def __iter__(self) -> Iterator[Entry]:
        """The newest version of every component."""
        return iter(self._newest(name) for name in self.names())

    def versions(self, name: str) -> list[Entry]:
        """Every version of the component called `name`, the newest first."""
        return sorted(self._entries[name].values(), key=lambda entry: -entry.version)

    def __contains__(self, name: str) -> bool:
        return self._found(name) is not None

    def __len__(self) -> int:
        return len(self._entries)

    def entry(self, name: str) -> Entry:
        """The entry called `name`, without importing it; of a bare name, the newest version."""
        entry = self._found(name)
        if entry is not None:
            return entry
        found = self.blocked(name)
        if found is not None:
            raise found.error(
                f"the {self.family} {name!r} cannot be had: {found.reason}",
                family=self.family,
                name=name,
            ) from found.cause
        bare, pin, _ = name.rpartition("@")
        if pin and bare in self._entries:
            raise self._no_such_version(name, bare)
        raise UnknownComponentError(
            f"no {self.family} named {name!r}{self._suggestion(name)} "
            f"`mtlkit list {self.plural}` shows all {len(self)}",
            family=self.family,
            name=name,
        )

    def blocked(self, name: str) -> UnavailablePlugin | None:
        """Why the namespace of `name` cannot be had, if it cannot."""
        namespace, slash, _ = name.partition("/")
        return self._unusable.get(namespace) if slash else None

    def get(self, name: str) -> type[C]:
        """The component class called `name`, imported on first use."""
        entry = self.entry(name)
        if entry.pinned not in self._classes:
            component = self._load(entry)
            self._classes[entry.pinned] = component
            self._names.setdefault(component, entry.pinned)
        return self._classes[entry.pinned]

    def name_of(self, component: type[C]) -> str:
        """The name of the class `component`: bare for the newest version, pinned for another."""
        entry = self.entry_of(component)
        return self._shown(entry)

    def entry_of(self, component: type[C]) -> Entry:
        """The entry under which the class `component` is registered."""
        every = [entry for name in self.names() for entry in self.versions(name)]
        if component not in self._names:
            wanted = f"{component.__module__}:{component.__qualname__}"
            for entry in every:
                if entry.target == wanted:
                    self.get(entry.pinned)
        if component not in self._names:
            # a target may name another module, which imports the class from its own
            for entry in every:
                if re.split("[.:]", entry.target)[-1] == component.__name__:
                    with contextlib.suppress(LoadFailedError):
                        self.get(entry.pinned)
        if component not in self._names:
            raise UnknownComponentError(
                f"{component.__module__}.{component.__qualname__} is registered as no "
                f"{self.family}; add it in the plugin's mtlkit_register",
                family=self.family,
                name=component.__qualname__,
            )
        return self.entry(self._names[component])

    def _found(self, name: str) -> Entry | None:
        bare, pin, version = name.rpartition("@")
        if not pin:
            return self._newest(name) if name in self._entries else None
        number = int(version) if VERSION.fullmatch(version) else 0
        return self._entries.get(bare, {}).get(number)

    def _newest(self, name: str) -> Entry:
        versions = self._entries[name]
        return versions[max(versions)]

    def _shown(self, entry: Entry) -> str:
        """The shortest name that means `entry`."""
        versions = self._entries.get(entry.name, {entry.version: entry})
        return entry.name if entry.version == max(versions) else entry.pinned

    def _no_such_version(self, name: str, bare: str) -> UnknownComponentError:
        newest = self._newest(bare)
        known = ", ".join(str(version) for version in sorted(self._entries[bare]))
        return UnknownComponentError(
            f"the {self.family} {bare!r} of {newest.origin} has no version "
            f"{name.rpartition('@')[2]!r}, only {known}; ask for one of these, or run "
            f"`pip install --upgrade {newest.origin.distribution}`",
            family=self.family,
            name=name,
        )

    def _suggestion(self, name: str) -> str:
        pool = list(self._entries)
        # a plugin's name, asked for without its namespace, is nearer than any that looks like it
        near = [known for known in pool if "/" in known and known.rpartition("/")[2] == name][:1]
        near = near or difflib.get_close_matches(name, pool, n=1, cutoff=0.6)
        if not near:
            return ";"
        entry = self._newest(near[0])
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
            problem = "is no component; expected a class derived from mtlkit.component.Component"
        elif "__attrs_attrs__" not in vars(component):
            problem = "is not decorated; put @attrs.frozen(kw_only=True) above the class"
        else:
            return
        raise LoadFailedError(
            f"the {self.family} {entry.name!r} of {entry.origin}: {entry.target!r} {problem}",
            family=self.family,
            name=entry.name,
        )
