"""Discovery of installed plugins by their entry points, without importing them."""

import importlib.metadata
import re
from collections.abc import Iterator, Sequence
from importlib.metadata import Distribution

import attrs

from mtlkit.errors import UnknownComponentError, did_you_mean, error_text
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
    damage: str = ""  # why its metadata cannot be read

    @property
    def origin(self) -> Origin:
        """The origin of the plugin; its file is the module name until the module is imported."""
        return Origin(self.distribution, self.version, self.module)


def installed_plugins() -> list[InstalledPlugin]:
    """Return all installed plugins, sorted by name.

    A distribution with damaged metadata never hides the others: if its entry points are readable,
    its plugins are returned with their `damage`.
    """
    plugins: dict[tuple[str, str, str], InstalledPlugin] = {}
    for distribution in importlib.metadata.distributions():
        for plugin in _plugins_of(distribution):
            # one distribution can appear twice, through a linked or an editable folder; Python
            # imports the first one on the path
            plugins.setdefault((plugin.namespace, plugin.distribution, plugin.module), plugin)
    return [plugins[key] for key in sorted(plugins)]


def _plugins_of(distribution: Distribution) -> Iterator[InstalledPlugin]:
    try:
        points = list(distribution.entry_points)
    except Exception:  # damaged metadata, possibly of a distribution without plugins
        return
    namespaces = [point for point in points if point.group == hooks.GROUP]
    if not namespaces:
        return
    damage = ""
    try:
        metadata = distribution.metadata
        name, version = metadata["Name"] or "unnamed", metadata["Version"] or "unknown"
    except Exception as cause:  # such as a summary that is not UTF-8
        name, version = _folder_name(distribution)
        damage = f"{name}: its METADATA cannot be read ({error_text(cause)}); reinstall it"
    apis = [point.name for point in points if point.group == hooks.API_GROUP]
    for point in namespaces:
        yield InstalledPlugin(
            namespace=point.name,
            module=point.value,
            distribution=re.sub(r"[-_.]+", "-", name).lower(),
            version=version,
            api=apis[0] if apis else None,
            damage=damage,
        )


def _folder_name(distribution: Distribution) -> tuple[str, str]:
    """Return the name and version in the name of the distribution's metadata folder."""
    folder = getattr(distribution, "_path", None)  # of importlib's own class of distributions
    stem = str(getattr(folder, "stem", "unnamed"))
    name, _, version = stem.partition("-")
    return name, version or "unknown"


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
    match = re.fullmatch(r"([0-9]{1,4})\.([0-9]{1,4})", plugin.api)
    if match is None:
        return (
            f"{plugin.origin} names the plugin API {plugin.api[:40]!r}; expected a number like "
            f"'{_dotted(hooks.API)}'"
        )
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
