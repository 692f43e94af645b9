"""The built-in components, registered through the same hook as those of plugins.

A component is listed once, in the stub (``__init__.pyi``) of the public namespace that users import
it from: ``# family/name: summary``, and the import of its class. Type checkers read the import,
`mtlkit.namespace.attach` the name, and this module the comment as well.
"""

import re
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from mtlkit.namespace import NAMESPACES, stub_of
from mtlkit.ops.builtins import BUILTIN_OPS
from mtlkit.plugins.hooks import hookimpl

if TYPE_CHECKING:
    from mtlkit.plugins.families import Registrar

LISTED = re.compile(r"^# (\w+)/(\S+): (.+)\nfrom (\S+) import (\w+) as \5$", re.MULTILINE)


class Listed(NamedTuple):
    """A component in a stub: its family, recipe name, target ``"module:Class"`` and summary."""

    family: str
    name: str
    target: str
    summary: str


@cache
def listed_components() -> tuple[Listed, ...]:
    """Return the built-in components, in the order of the stubs."""
    return tuple(
        Listed(family, name, f"{space if module[0] == '.' else ''}{module}:{component}", summary)
        for space in NAMESPACES
        for family, name, summary, module, component in LISTED.findall(
            stub_of(space).read_text("utf-8")
        )
    )


@hookimpl
def mtlkit_register(catalog: "Registrar") -> None:
    """Register every built-in component by family; each is imported on first use."""
    for family, name, target, summary in listed_components():
        catalog.by_family[family].add(name, target, summary)
    for name, (target, summary) in BUILTIN_OPS.items():
        catalog.ops.add(name, target, summary)
