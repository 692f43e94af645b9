"""The catalog: one registry for each family, filled by the built-ins and the installed plugins.

Each plugin is loaded in isolation. A plugin that fails is rolled back, recorded and reported; only
recipes that use its names are affected.
"""

import importlib
import importlib.metadata
import inspect
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
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
    error_text,
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
from mtlkit.plugins.families import Registrar, Registries
from mtlkit.plugins.isolation import UserInterruptError, isolated
from mtlkit.plugins.registry import TARGET, Origin, UnavailablePlugin

if TYPE_CHECKING:
    from mtlkit.ops.dispatch.table import OpTable


COMMAND = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
"""Names of commands that a plugin may return."""


class PluginStatus(Enum):
    """Result of loading a plugin."""

    LOADED = "loaded"
    FAILED = "failed"
    INCOMPATIBLE = "incompatible"
    LEFT_OUT = "left out"

    @property
    def predicate(self) -> str:
        """The end of a sentence about a plugin of this status, such as "failed to load"."""
        return "failed to load" if self is PluginStatus.FAILED else f"is {self.value}"


@attrs.frozen
class PluginRecord:
    """An installed plugin and the result of loading it."""

    namespace: str
    origin: Origin
    status: PluginStatus
    reason: str = ""
    effects: tuple[str, ...] = ()  # what its import did to the process, undone


@attrs.frozen
class Command:
    """A plugin's command: its target (``"module:click_command"``) and its origin."""

    target: str
    origin: Origin


class Catalog(Registries):
    """The registry of each family, the plugins behind them, their commands and their hooks.

    A catalog can be pickled: unpickling imports the modules of its plugins again.
    """

    def __init__(self) -> None:
        super().__init__()
        self.plugins: list[PluginRecord] = []
        self.commands: dict[str, Command] = {}
        self.manager = _new_manager()

    def registered(self) -> list[str]:
        """Return a line for each component: its family, name, target and origin.

        Two processes with equal lines build equal objects from the same recipe.
        """
        return [
            f"{entry.family} {entry.name} = {entry.target} ({entry.origin})"
            for registry in self.families().values()
            for entry in registry
        ]

    @property
    def op_table(self) -> "OpTable":
        """The ops and implementations, as `mtlkit.ops` looks them up."""
        from mtlkit.ops.dispatch.table import OpTable  # imports torch

        return OpTable(self.ops, self.implementations)

    def problems(self) -> list[PluginRecord]:
        """Return the plugins that could not be loaded."""
        return [
            p for p in self.plugins if p.status in (PluginStatus.FAILED, PluginStatus.INCOMPATIBLE)
        ]

    def __getstate__(self) -> dict[str, Any]:
        plugins = [
            (name, plugin.__name__ if isinstance(plugin, ModuleType) else plugin)
            for name, plugin in self.manager.list_name_plugin()
        ]
        return {**vars(self), "manager": plugins}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.manager = _new_manager()
        for name, plugin in state["manager"]:
            module = importlib.import_module(plugin) if isinstance(plugin, str) else plugin
            self.manager.register(module, name)


def _new_manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(hooks.GROUP)
    manager.add_hookspecs(hooks.Hooks)
    return manager


def load_catalog(selection: str | None = None) -> Catalog:
    """Return the catalog of all built-in components and those of the selected plugins.

    `selection` is ``all``, ``none`` or namespaces separated by commas. None reads the environment
    variable ``MTLKIT_PLUGINS``; if it is not set, every plugin that is not disabled is selected. An
    unknown namespace is an error.

    >>> "casia-net" in load_catalog("none").backbones
    True
    """
    if selection is None:
        selection = os.environ.get(SELECTION_VARIABLE)
    disabled = read_disabled() if selection is None else frozenset[str]()
    catalog = Catalog()
    registrar = Registrar(catalog, "", _own_origin())
    builtins.mtlkit_register(registrar)
    registrar.commit()
    _load_plugins(catalog, "all" if selection is None else selection, disabled)
    return catalog


def _own_origin() -> Origin:
    try:
        version = importlib.metadata.version("mtlkit")
    except importlib.metadata.PackageNotFoundError:  # a bare checkout on the path
        version = "unknown"
    return Origin("mtlkit", version, str(Path(builtins.__file__)))


def _load_plugins(catalog: Catalog, selection: str, disabled: frozenset[str]) -> None:
    installed = installed_plugins()
    chosen = chosen_namespaces(installed, selection)
    claims = Counter(plugin.namespace for plugin in installed)
    catalog.namespaces.update(claims)
    for plugin in installed:
        if plugin.namespace not in chosen:
            reason = f"left out by {SELECTION_VARIABLE}={selection}"
            _record(catalog, plugin, PluginStatus.LEFT_OUT, reason, NotInstalledError)
        elif plugin.namespace in disabled:
            reason = f"disabled; `mtlkit plugins enable {plugin.namespace}` brings it back"
            _record(catalog, plugin, PluginStatus.LEFT_OUT, reason, NotInstalledError)
        elif claims[plugin.namespace] > 1:
            rival = next(
                p for p in installed if p.namespace == plugin.namespace and p is not plugin
            )
            reason = (
                f"two plugins claim the namespace {plugin.namespace!r}: {plugin.origin} and "
                f"{rival.origin}; uninstall one"
            )
            _record(catalog, plugin, PluginStatus.FAILED, reason, LoadFailedError)
        elif plugin.damage:
            _record(catalog, plugin, PluginStatus.FAILED, plugin.damage, LoadFailedError)
        elif (obstacle := incompatible(plugin)) is not None:
            _record(catalog, plugin, PluginStatus.INCOMPATIBLE, obstacle, IncompatibleError)
        else:
            _load(catalog, plugin)


def _load(catalog: Catalog, plugin: InstalledPlugin) -> None:
    """Import, check and register one plugin; a failure is rolled back and recorded."""
    effects: Sequence[str] = ()
    try:
        with isolated() as effects:
            commands, origin = _register(catalog, plugin)
    except UserInterruptError:
        raise
    except BaseException as cause:  # a failing plugin must not affect the others
        if catalog.manager.has_plugin(plugin.namespace):
            catalog.manager.unregister(name=plugin.namespace)
        failure = f"{plugin.origin}: {error_text(cause)}"
        _record(catalog, plugin, PluginStatus.FAILED, failure, LoadFailedError, cause)
        return
    catalog.commands |= {name: Command(target, origin) for name, target in commands.items()}
    catalog.plugins.append(
        PluginRecord(plugin.namespace, origin, PluginStatus.LOADED, effects=tuple(effects))
    )


def _register(catalog: Catalog, plugin: InstalledPlugin) -> tuple[Mapping[str, str], Origin]:
    """Import the plugin, register its components, and return its commands and its origin."""
    manager = catalog.manager
    module = importlib.import_module(plugin.module)
    origin = attrs.evolve(plugin.origin, file=module.__file__ or plugin.module)
    _refuse_unknown_hooks(manager, module)
    manager.register(module, plugin.namespace)
    others = [other for other in manager.get_plugins() if other is not module]
    registrar = Registrar(catalog, plugin.namespace, origin)
    manager.subset_hook_caller("mtlkit_register", others)(catalog=registrar)
    commands: dict[str, str] = {}
    for returned in manager.subset_hook_caller("mtlkit_commands", others)():
        commands |= _checked_commands(returned)
    taken = sorted(set(commands) & set(catalog.commands))
    if taken:
        owner = catalog.commands[taken[0]].origin
        raise MtlkitError(f"the command {taken[0]!r} belongs to {owner} already")
    registrar.commit()
    return commands, origin


def _checked_commands(returned: object) -> Mapping[str, str]:
    """Return what ``mtlkit_commands`` returned; raise unless it maps names to targets."""
    if not isinstance(returned, Mapping):
        raise MtlkitError(
            f"mtlkit_commands returned a {type(returned).__name__}; expected a mapping of names to "
            f"'module:click_command'"
        )
    for name, target in returned.items():
        if not (isinstance(name, str) and COMMAND.fullmatch(name)):
            raise MtlkitError(
                f"mtlkit_commands returned the name {name!r:.60}; expected lower-case letters, "
                f"digits and '-'"
            )
        if not (isinstance(target, str) and TARGET.fullmatch(target)):
            raise MtlkitError(
                f"mtlkit_commands returned {target!r:.60} for {name!r}; expected "
                f"'module:click_command'"
            )
    return returned


def _refuse_unknown_hooks(manager: pluggy.PluginManager, module: ModuleType) -> None:
    """Refuse a hook that is misspelled, not marked, or a wrapper: it would be ignored silently."""
    known = [name for name in vars(hooks.Hooks) if not name.startswith("_")]
    functions = {name: value for name, value in vars(module).items() if inspect.isfunction(value)}
    options = {name: manager.parse_hookimpl_opts(module, name) for name in functions}
    for name, function in functions.items():
        marked = options[name]
        if name in known and marked is None:
            raise MtlkitError(f"{name!r} is not marked as a hook; put @hookimpl above it")
        is_local = function.__module__ == module.__name__  # imported functions may have any name
        suggestion = did_you_mean(name, known) if name.startswith(f"{hooks.GROUP}_") else ""
        if name not in known and (marked is not None or (is_local and suggestion)):
            raise MtlkitError(
                f"{name!r} is not a hook of mtlkit{suggestion}; expected one of {', '.join(known)}"
            )
        if marked is not None and (marked["wrapper"] or marked["hookwrapper"]):
            raise MtlkitError(
                f"{name!r} wraps the hooks of other plugins; expected @hookimpl without wrapper"
            )
    if not any(options.values()):
        raise MtlkitError(f"implements no hook; expected one of {', '.join(known)}")


def _record(
    catalog: Catalog,
    plugin: InstalledPlugin,
    status: PluginStatus,
    reason: str,
    error: type[ComponentError],
    cause: BaseException | None = None,
) -> None:
    catalog.plugins.append(PluginRecord(plugin.namespace, plugin.origin, status, reason))
    for registry in catalog.families().values():
        registry.refuse(UnavailablePlugin(plugin.namespace, error, reason, cause))
