"""The built-in components, registered through the same hook as those of plugins.

`mtlkit.namespace` reads them from the stubs of the public namespaces.
"""

from typing import TYPE_CHECKING

from mtlkit.namespace import listed_components
from mtlkit.ops.builtins import BUILTIN_OPS
from mtlkit.plugins.hooks import hookimpl

if TYPE_CHECKING:
    from mtlkit.plugins.families import Registrar


@hookimpl
def mtlkit_register(catalog: "Registrar") -> None:
    """Register every built-in component by family; each is imported on first use."""
    for family, name, target, summary in listed_components():
        catalog.by_family[family].add(name, target, summary)
    for name, (target, summary) in BUILTIN_OPS.items():
        catalog.ops.add(name, target, summary)
