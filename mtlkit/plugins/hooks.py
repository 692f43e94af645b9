"""The contract between mtlkit and its plugins: two hooks, both called once at start-up.

A plugin is a distribution with an entry point in the group ``mtlkit``. The entry point's name is
the plugin's namespace; its module holds functions marked with `hookimpl`:

>>> from mtlkit.plugins.hooks import hookimpl
>>> @hookimpl
... def mtlkit_register(catalog):
...     catalog.weightings.add("acme/halves", "mtlkit_acme.halves:Halves", "Halve every weight.")
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from mtlkit.plugins.catalog import Registrar

GROUP = "mtlkit"
"""The entry-point group of plugins."""

API_GROUP = "mtlkit.api"
"""The entry-point group whose entry names the plugin API a distribution was made for."""

API = (1, 2)
"""The plugin API this mtlkit speaks, as (major, minor): the minor grows with every new name."""

API_FLOOR = (1, 0)
"""The oldest plugin API this mtlkit still accepts."""

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


class Hooks:
    """What a plugin may implement."""

    @hookspec
    def mtlkit_register(self, catalog: "Registrar") -> None:
        """Add components: ``catalog.heads.add(name, "module:Class", summary)``."""

    @hookspec
    def mtlkit_commands(self) -> Mapping[str, str]:  # type: ignore[empty-body]
        """Commands for the command line: name to ``"module:click_command"``, imported when used."""
