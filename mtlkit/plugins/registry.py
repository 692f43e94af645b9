"""A registry: the names of one family, with the component and the origin of each."""

import contextlib
import importlib
import logging
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Generic, TypeVar, cast

import attrs

from mtlkit.component import Component
from mtlkit.errors import (
    ComponentError,
    DuplicateNameError,
    InvalidNameError,
    LoadFailedError,
    NotInstalledError,
    UnknownComponentError,
    error_text,
    nearest,
)
from mtlkit.plugins.isolation import UserInterruptError, isolated

T = TypeVar("T")

_LOG = logging.getLogger(__name__)

NAME = re.compile(r"(?:[a-z0-9][a-z0-9_.-]*/)?[a-z0-9][a-z0-9_.-]*")

TARGET = re.compile(r"[\w.<>]+:[\w.<>]+")  # the path of a class defined in a function has <locals>


@attrs.frozen
class Origin:
    """The origin of a name: the distribution, its version, and the file of its plugin module."""

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
class UnavailablePlugin:
    """An unavailable namespace, the reason, and the error raised for its names."""

    namespace: str
    error: type[ComponentError]
    reason: str
    cause: BaseException | None = None


class Registry(Generic[T]):
    """Maps the names of one family to component classes of type `T`.

    >>> from mtlkit.weightings.base import Weighting
    >>> weightings = Registry[type[Weighting]]("weighting", "weightings")
    >>> me = Origin("acme", "1.0", "acme/plugin.py")
    >>> weightings.add(Entry("weighting", "acme/even", "mtlkit.weightings.equal:Equal", "", me))
    >>> weightings.get("acme/even").__name__
    'Equal'
    """

    def __init__(self, family: str, plural: str, namespaces: Collection[str] = ()) -> None:
        self.family = family
        self.plural = plural
        self._namespaces = namespaces  # of the installed plugins; filled while they are loaded
        self._entries: dict[str, Entry] = {}
        self._values: dict[str, T] = {}
        self._names: dict[Any, str] = {}
        self._unusable: dict[str, UnavailablePlugin] = {}

    def add(self, entry: Entry, component: T | None = None) -> None:
        """Register `entry`; raise `DuplicateNameError` or `InvalidNameError` for a bad name.

        If `component` is given, it is not imported later.
        """
        if not NAME.fullmatch(entry.name):
            raise InvalidNameError(
                f"{entry.origin} ({entry.origin.file}): {entry.name!r} is not a name for a "
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
            self._keep(entry.name, component)
        self._entries[entry.name] = entry

    def remove(self, entry: Entry) -> None:
        """Remove `entry`, after a registration that failed midway."""
        if self._entries.get(entry.name) == entry:
            del self._entries[entry.name]
            component = self._values.pop(entry.name, None)
            if component is not None:
                self._names.pop(component, None)

    def refuse(self, unusable: UnavailablePlugin) -> None:
        """Mark the names of a namespace as unavailable."""
        self._unusable[unusable.namespace] = unusable

    def names(self) -> list[str]:
        """Return all names, built-in ones first."""
        return sorted(self._entries, key=lambda name: ("/" in name, name))

    def __iter__(self) -> Iterator[Entry]:
        """Iterate over the entry of every component."""
        return iter(self._entries[name] for name in self.names())

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def entry(self, name: str) -> Entry:
        """Return the entry called `name`, without importing it."""
        if name in self._entries:
            return self._entries[name]
        unavailable = self.blocked(name)
        if unavailable is not None:
            message = f"the {self.family} {name!r} is unavailable: {unavailable.reason}"
            raise self._error(unavailable.error, name, message) from unavailable.cause
        near = self._nearest(name)
        message = (
            f"no {self.family} named {name!r}; {f'{near} ' if near else ''}"
            f"`mtlkit list {self.plural}` shows all {len(self)}"
        )
        raise self._error(UnknownComponentError, name, message)

    def _error(self, kind: type[ComponentError], name: str, message: str) -> ComponentError:
        return kind(message, family=self.family, name=name)

    def blocked(self, name: str) -> UnavailablePlugin | None:
        """Return why the namespace of `name` cannot be used; None if it can."""
        namespace, slash, _ = name.partition("/")
        if not slash:
            return None
        if namespace in self._unusable:
            return self._unusable[namespace]
        installed = {*self._namespaces, *(known.partition("/")[0] for known in self._entries)}
        if namespace in installed:
            return None
        near = self._nearest(name)
        return UnavailablePlugin(
            namespace,
            NotInstalledError,
            f"no plugin named {namespace!r} is installed; {f'{near} Or ' if near else ''}install "
            f"the distribution that provides it, for example `pip install mtlkit-{namespace}`",
        )

    def get(self, name: str) -> T:
        """Return the component called `name`, imported on first use."""
        entry = self.entry(name)
        if name not in self._values:
            self._keep(name, self._load(entry))
        return self._values[name]

    def name_of(self, component: type) -> str:
        """Return the name of the class `component`."""
        return self.entry_of(component).name

    def entry_of(self, component: type) -> Entry:
        """Return the entry under which the class `component` is registered."""
        if component not in self._names:
            target = f"{component.__module__}:{component.__qualname__}"
            for entry in self:
                if entry.target == target:
                    self.get(entry.name)
        if component not in self._names:
            # a target may name a module that only imports the class
            for entry in self:
                if re.split("[.:]", entry.target)[-1] == component.__name__:
                    with contextlib.suppress(LoadFailedError):
                        self.get(entry.name)
        if component not in self._names:
            message = (
                f"{component.__module__}.{component.__qualname__} is registered as no "
                f"{self.family}; add it in the plugin's mtlkit_register"
            )
            raise self._error(UnknownComponentError, component.__qualname__, message)
        return self.entry(self._names[component])

    def _keep(self, name: str, component: T) -> None:
        self._values[name] = component
        self._names.setdefault(component, name)

    def _nearest(self, name: str) -> str:
        """Return a question about the registered name nearest to `name`; empty if none is near."""
        # a plugin's name without its namespace is preferred to similar names
        same = (known for known in self._entries if known.endswith(f"/{name}"))
        if not (near := next(same, "") or nearest(name, self._entries, any_start=True)):
            return ""
        entry = self._entries[near]
        owner = "built in" if "/" not in entry.name else f"from {entry.origin}"
        return f"did you mean {entry.name!r} ({owner})?"

    def _load(self, entry: Entry) -> T:
        module_name, _, attribute = entry.target.partition(":")
        effects: Sequence[str] = ()
        try:
            with isolated() as effects:
                module = importlib.import_module(module_name)
                component = getattr(module, attribute)
        except UserInterruptError:
            raise
        except BaseException as cause:  # any failing import is an error of that component alone
            message = (
                f"the {self.family} {entry.name!r} of {entry.origin} failed to import from "
                f"{entry.target!r}: {error_text(cause)}"
            )
            raise self._error(LoadFailedError, entry.name, message) from cause
        for effect in effects:
            _LOG.warning("the %s %r of %s %s", self.family, entry.name, entry.origin, effect)
        self._check(entry, component)
        return cast("T", component)

    def _check(self, entry: Entry, component: object) -> None:
        if problem := self._problem(entry, component):
            message = f"the {self.family} {entry.name!r} of {entry.origin}: {entry.target!r} "
            raise self._error(LoadFailedError, entry.name, message + problem)

    def _problem(self, entry: Entry, component: object) -> str:
        """Return why `component` cannot have the name of `entry`; empty if it can."""
        if not (isinstance(component, type) and issubclass(component, Component)):
            return "is not a component; expected a class derived from mtlkit.component.Component"
        if "__attrs_attrs__" not in vars(component):
            return "is not decorated; put @attrs.frozen(kw_only=True) above the class"
        return ""


class ValueRegistry(Registry[T]):
    """Maps names to values of the class at `base`, each registered under its own name."""

    def __init__(
        self, family: str, plural: str, namespaces: Collection[str] = (), *, base: str
    ) -> None:
        super().__init__(family, plural, namespaces)
        self._base = base

    def _problem(self, entry: Entry, component: object) -> str:
        module, _, name = self._base.partition(":")
        if not isinstance(component, getattr(importlib.import_module(module), name)):
            return f"is of type {type(component).__name__}; expected an {name}"
        if component.name != entry.name:
            return f"has the name {component.name!r}; expected {entry.name!r}"
        return ""
