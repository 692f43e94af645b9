"""The catalog: one registry for each family, filled by the built-ins and the installed plugins.

Each plugin is loaded in isolation. One that fails is rolled back, recorded and reported; only
recipes that use its names are harmed.
"""

import importlib
import importlib.metadata
import inspect
import os
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import attrs
import pluggy

from mtlkit.errors import (
    ComponentError,
    IncompatibleError,
    LoadFailedError,
    MtlkitError,
    NotInstalledError,
    did_you_mean,
)
from mtlkit.plugins import builtins, hooks
from mtlkit.plugins.disabled import read_disabled
from mtlkit.plugins.discovery import (
    SELECTION_VARIABLE,
    InstalledPlugin,
    chosen_namespaces,
    incompatible,
    installed_plugins,
)
from mtlkit.plugins.namespaced_registry import NamespacedRegistry
from mtlkit.plugins.op_registry import NamespacedValues, ValueRegistry
from mtlkit.plugins.registry import Origin, Registry, UnavailablePlugin

if TYPE_CHECKING:
    from mtlkit.backbones.base import Backbone
    from mtlkit.data.source import DataSource
    from mtlkit.evaluators.base import Evaluator
    from mtlkit.heads.base import Head
    from mtlkit.loggers.base import Logger
    from mtlkit.metrics.base import Metric
    from mtlkit.ops.dispatch.implementation import Implementation, Op
    from mtlkit.optim.base import Optimizer, Schedule
    from mtlkit.routers.base import Router
    from mtlkit.routers.branches import Branch
    from mtlkit.weightings.base import Weighting

KNOWN_PLUGINS: Mapping[str, str] = {"face": "mtlkit-face", "torchjd": "mtlkit-torchjd"}
"""Namespaces of plugins we know of, and the distribution that brings each."""


class Status(Enum):
    """How the loading of a plugin ended."""

    LOADED = "loaded"
    FAILED = "failed"
    INCOMPATIBLE = "incompatible"
    LEFT_OUT = "left out"


@attrs.frozen
class PluginRecord:
    """One installed plugin: who it is, and how its loading ended."""

    namespace: str
    origin: Origin
    status: Status
    reason: str = ""


@attrs.frozen
class Command:
    """A plugin's command: its target (``"module:click_command"``), and who brought it."""

    target: str
    origin: Origin


@attrs.frozen
class Catalog:
    """One registry for each family of components, the plugins behind them, and their commands."""

    backbones: "Registry[Backbone]" = attrs.field(factory=lambda: Registry("backbone"))
    heads: "Registry[Head]" = attrs.field(factory=lambda: Registry("head"))
    metrics: "Registry[Metric]" = attrs.field(factory=lambda: Registry("metric"))
    routers: "Registry[Router]" = attrs.field(factory=lambda: Registry("router"))
    branches: "Registry[Branch]" = attrs.field(factory=lambda: Registry("branch", "branches"))
    weightings: "Registry[Weighting]" = attrs.field(factory=lambda: Registry("weighting"))
    data: "Registry[DataSource]" = attrs.field(factory=lambda: Registry("data source", "data"))
    optimizers: "Registry[Optimizer]" = attrs.field(factory=lambda: Registry("optimizer"))
    schedules: "Registry[Schedule]" = attrs.field(factory=lambda: Registry("schedule"))
    evaluators: "Registry[Evaluator]" = attrs.field(factory=lambda: Registry("evaluator"))
    loggers: "Registry[Logger]" = attrs.field(factory=lambda: Registry("logger"))
    ops: "ValueRegistry[Op]" = attrs.field(
        factory=lambda: ValueRegistry("op", "mtlkit.ops.dispatch.implementation:Op")
    )
    implementations: "ValueRegistry[Implementation]" = attrs.field(
        factory=lambda: ValueRegistry(
            "implementation", "mtlkit.ops.dispatch.implementation:Implementation"
        )
    )
    plugins: list[PluginRecord] = attrs.field(factory=list)
    commands: dict[str, Command] = attrs.field(factory=dict)

    def families(self) -> dict[str, Registry[Any]]:
        """Every registry by the plural under which users know it."""
        return {
            field.name: getattr(self, field.name)
            for field in attrs.fields(Catalog)
            if field.name not in ("plugins", "commands")
        }

    def registered(self) -> list[str]:
        """A line for each component: its family, name and target, and who brought it.

        Two processes with the same lines build the same from the same recipe.
        """
        return [
            f"{entry.family} {entry.pinned} = {entry.target} ({entry.origin})"
            for registry in self.families().values()
            for name in registry.names()
            for entry in registry.versions(name)
        ]

    def problems(self) -> list[PluginRecord]:
        """The plugins that could not be loaded."""
        return [p for p in self.plugins if p.status in (Status.FAILED, Status.INCOMPATIBLE)]


class Registrar:
    """The catalog as a plugin sees it while it registers: one shelf for each family."""

    def __init__(self, catalog: Catalog, namespace: str, origin: Origin) -> None:
        self.backbones = NamespacedRegistry(catalog.backbones, namespace, origin)
        self.heads = NamespacedRegistry(catalog.heads, namespace, origin)
        self.metrics = NamespacedRegistry(catalog.metrics, namespace, origin)
        self.routers = NamespacedRegistry(catalog.routers, namespace, origin)
        self.branches = NamespacedRegistry(catalog.branches, namespace, origin)
        self.weightings = NamespacedRegistry(catalog.weightings, namespace, origin)
        self.data = NamespacedRegistry(catalog.data, namespace, origin)
        self.optimizers = NamespacedRegistry(catalog.optimizers, namespace, origin)
        self.schedules = NamespacedRegistry(catalog.schedules, namespace, origin)
        self.evaluators = NamespacedRegistry(catalog.evaluators, namespace, origin)
        self.loggers = NamespacedRegistry(catalog.loggers, namespace, origin)
        self.ops: NamespacedValues[Op] = NamespacedValues(catalog.ops, namespace, origin)
        self.implementations: NamespacedValues[Implementation] = NamespacedValues(
            catalog.implementations, namespace, origin
        )

    def _shelves(self) -> "list[NamespacedRegistry[Any]]":
        return [shelf for shelf in vars(self).values() if isinstance(shelf, NamespacedRegistry)]

    def commit(self) -> None:
        """Register everything that was added, or, where one name is refused, nothing."""
        try:
            for shelf in self._shelves():
                shelf.commit()
        except MtlkitError:
            for shelf in self._shelves():
                shelf.rollback()
            raise


def load_catalog(selection: str | None = None) -> Catalog:
    """The catalog of all built-in components and those of the selected plugins.

    `selection` is ``all``, ``none`` or namespaces divided by commas; None asks the environment
    variable ``MTLKIT_PLUGINS``, and then means all that ``mtlkit plugins disable`` left. An unknown
    namespace is an error.

    >>> "casia-net" in load_catalog("none").backbones
    True
    """
    if selection is None:
        selection = selection_here()
    disabled = read_disabled() if selection is None else frozenset[str]()
    catalog = Catalog()
    own = Registrar(catalog, "", _own_origin())
    builtins.mtlkit_register(own)
    own.commit()
    _load_plugins(catalog, selection or ("all" if selection is None else ""), disabled)
    for namespace, distribution in KNOWN_PLUGINS.items():
        if all(plugin.namespace != namespace for plugin in catalog.plugins):
            reason = f"its plugin is not installed; run `pip install {distribution}`"
            _refuse(catalog, UnavailablePlugin(namespace, NotInstalledError, reason))
    return catalog


def selection_here() -> str | None:
    """What the environment selects; None where it says nothing."""
    return os.environ.get(SELECTION_VARIABLE)


def _own_origin() -> Origin:
    try:
        version = importlib.metadata.version("mtlkit")
    except importlib.metadata.PackageNotFoundError:  # a bare checkout on the path
        version = "unknown"
    return Origin("mtlkit", version, str(Path(builtins.__file__)))


def _load_plugins(catalog: Catalog, selection: str, disabled: frozenset[str]) -> None:
    installed = installed_plugins()
    chosen = chosen_namespaces(installed, selection)
    for plugin in installed:
        rivals = [p for p in installed if p.namespace == plugin.namespace and p != plugin]
        if plugin.namespace not in chosen:
            reason = f"left out by {SELECTION_VARIABLE}={selection}"
            _record(catalog, plugin, Status.LEFT_OUT, reason, NotInstalledError)
        elif plugin.namespace in disabled:
            reason = f"disabled; `mtlkit plugins enable {plugin.namespace}` brings it back"
            _record(catalog, plugin, Status.LEFT_OUT, reason, NotInstalledError)
        elif rivals:
            reason = (
                f"two plugins claim the namespace {plugin.namespace!r}: {plugin.origin} and "
                f"{rivals[0].origin}; uninstall one"
            )
            _record(catalog, plugin, Status.FAILED, reason, LoadFailedError)
        elif (obstacle := incompatible(plugin)) is not None:
            _record(catalog, plugin, Status.INCOMPATIBLE, obstacle, IncompatibleError)
        else:
            _load(catalog, plugin)


def _load(catalog: Catalog, plugin: InstalledPlugin) -> None:
    """Import, check and register one plugin; a failure leaves no trace but its record."""
    manager = pluggy.PluginManager(hooks.GROUP)
    manager.add_hookspecs(hooks.Hooks)
    try:
        module = importlib.import_module(plugin.module)
        origin = attrs.evolve(plugin.origin, file=module.__file__ or plugin.module)
        manager.register(module, plugin.namespace)
        _refuse_strange_hooks(manager, module)
        registrar = Registrar(catalog, plugin.namespace, origin)
        manager.hook.mtlkit_register(catalog=registrar)
        commands = {k: v for found in manager.hook.mtlkit_commands() for k, v in found.items()}
        taken = sorted(set(commands) & set(catalog.commands))
        if taken:
            owner = catalog.commands[taken[0]].origin
            raise MtlkitError(f"the command {taken[0]!r} belongs to {owner} already")
        registrar.commit()
    except (Exception, SystemExit) as cause:  # a stranger: what it raises is its own problem
        message = " ".join(str(cause).split())[:400] or "(no message)"
        failure = f"{plugin.origin}: {type(cause).__name__}: {message}"
        _record(catalog, plugin, Status.FAILED, failure, LoadFailedError, cause)
        return
    for name, target in commands.items():
        catalog.commands[name] = Command(target, origin)
    catalog.plugins.append(PluginRecord(plugin.namespace, origin, Status.LOADED))


def _refuse_strange_hooks(manager: pluggy.PluginManager, module: ModuleType) -> None:
    """A hook that is misspelt or not marked would be ignored silently; it is an error instead."""
    known = [name for name in vars(hooks.Hooks) if not name.startswith("_")]
    functions = {name: value for name, value in vars(module).items() if inspect.isfunction(value)}
    marked = {name for name in functions if manager.parse_hookimpl_opts(module, name) is not None}
    for name, function in functions.items():
        if name in known and name not in marked:
            raise MtlkitError(f"{name!r} is not marked as a hook; put @hookimpl above it")
        own = function.__module__ == module.__name__  # what is imported may be called anything
        meant = did_you_mean(name, known) if name.startswith(f"{hooks.GROUP}_") else ""
        if name not in known and (name in marked or (own and meant)):
            raise MtlkitError(
                f"{name!r} is no hook of mtlkit{meant}; expected one of {', '.join(known)}"
            )
    if not marked:
        raise MtlkitError(f"implements no hook; expected one of {', '.join(known)}")


def _record(
    catalog: Catalog,
    plugin: InstalledPlugin,
    status: Status,
    reason: str,
    error: type[ComponentError],
    cause: BaseException | None = None,
) -> None:
    catalog.plugins.append(PluginRecord(plugin.namespace, plugin.origin, status, reason))
    _refuse(catalog, UnavailablePlugin(plugin.namespace, error, reason, cause))


def _refuse(catalog: Catalog, unusable: UnavailablePlugin) -> None:
    for registry in catalog.families().values():
        registry.refuse(unusable)
