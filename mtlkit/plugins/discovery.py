"""Discovery of installed plugins by their entry points, without importing them."""

import importlib.metadata
import re
from collections.abc import Sequence

import attrs

from mtlkit.errors import UnknownComponentError, did_you_mean
from mtlkit.plugins import hooks
from mtlkit.plugins.registry import Origin

SELECTION_VARIABLE = "MTLKIT_PLUGINS"
"""The environment variable that selects plugins: ``all`` (default), ``none`` or ``a,b``."""


@attrs.frozen
class InstalledPlugin:
    """A plugin before it is loaded: its namespace, its module and its distribution."""

    namespace: str
    module: str
    distribution: str
    version: str
    api: str | None  # the plugin API that its metadata declares

    @property
    def origin(self) -> Origin:
        """The origin of the plugin; its file is the module name until the module is imported."""
        return Origin(self.distribution, self.version, self.module)


def installed_plugins() -> list[InstalledPlugin]:
    """Return all installed plugins, sorted by name."""
    plugins: dict[tuple[str, str, str], InstalledPlugin] = {}
    for distribution in importlib.metadata.distributions():
        try:
            points = distribution.entry_points
        except Exception:  # damaged metadata, possibly of a distribution without plugins
            continue
        apis = [point.name for point in points if point.group == hooks.API_GROUP]
        for point in points:
            if point.group != hooks.GROUP:
                continue
            name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"] or "unnamed").lower()
            plugin = InstalledPlugin(
                namespace=point.name,
                module=point.value,
                distribution=name,
                version=distribution.version or "unknown",
                api=apis[0] if apis else None,
            )
            # one distribution can appear twice, through a linked or an editable folder; Python
            # imports the first one on the path
            plugins.setdefault((point.name, name, point.value), plugin)
    return [plugins[key] for key in sorted(plugins)]


def chosen_namespaces(plugins: Sequence[InstalledPlugin], selection: str) -> set[str]:
    """Return the namespaces in `selection`; raise `UnknownComponentError` for an unknown one."""
    known = {plugin.namespace for plugin in plugins}
    if selection in ("all", "none"):
        return known if selection == "all" else set()
    selected = {name.strip() for name in selection.split(",") if name.strip()}
    for name in sorted(selected - known):
        raise UnknownComponentError(
            f"{SELECTION_VARIABLE}: no plugin named {name!r} is installed"
            f"{did_you_mean(name, known)}; expected 'all', 'none' or some of: "
            f"{', '.join(sorted(known)) or '(no plugin is installed)'}",
            family="plugin",
            name=name,
        )
    return selected


CHANGES = (
    "since 2.0 public names are in family namespaces such as mtlkit.heads, components have no "
    "versions, and classes have new names"
)
"""Summary of the changes from older plugin APIs to the oldest accepted one."""

MIGRATION = "docs/guide/migrate.md"
"""The page with the old and the new names."""


def incompatible(plugin: InstalledPlugin) -> str | None:
    """Return why this mtlkit cannot load the plugin; None if it can."""
    window = accepted_apis()
    if plugin.api is None:
        return (
            f"{plugin.origin} names no plugin API; its pyproject needs "
            f'[project.entry-points."{hooks.API_GROUP}"] with a key such as "{_dotted(hooks.API)}"'
        )
    match = re.fullmatch(r"(\d+)\.(\d+)", plugin.api)
    if match is None:
        return f"{plugin.origin} names the plugin API {plugin.api!r}; expected a number like '2.0'"
    api = (int(match[1]), int(match[2]))
    if hooks.API_FLOOR <= api <= hooks.API:
        return None
    made_for = f"{plugin.origin} was made for plugin API {plugin.api}; expected {window}"
    if api > hooks.API:
        return f"{made_for}; run `pip install --upgrade mtlkit`"
    return (
        f"{made_for}: {CHANGES}; run `pip install --upgrade {plugin.distribution}`, or port it by "
        f"{MIGRATION}"
    )


def accepted_apis() -> str:
    """Return the plugin APIs that this mtlkit accepts, as text."""
    floor, newest = _dotted(hooks.API_FLOOR), _dotted(hooks.API)
    return newest if floor == newest else f"{floor} to {newest}"


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
