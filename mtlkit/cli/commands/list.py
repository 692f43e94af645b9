"""``mtlkit list``: the components, by family."""

from collections.abc import Iterator, Sequence
from typing import Any

import click

from mtlkit.cli import current_catalog
from mtlkit.errors import MtlkitError, UnknownComponentError, did_you_mean
from mtlkit.plugins.catalog import Catalog
from mtlkit.plugins.registry import Registry, UnavailablePlugin
from mtlkit.printable import echo


@click.command()
@click.argument("family", required=False)
def list_components(family: str | None) -> None:
    """List the components of FAMILY (`backbones`, `heads`, ...), or of every family."""
    catalog = current_catalog()
    registries = catalog.families() if family is None else dict([find_family(catalog, family)])
    for plural, registry in registries.items():
        rows = [(e.name, e.summary, str(e.origin)) for e in registry]
        echo(plural)
        echo_table(rows or [("(none)",)], indent="  ")
        echo()


def find_family(catalog: Catalog, word: str) -> tuple[str, Registry[Any]]:
    """Return the family called `word`, in the singular or the plural."""
    families = catalog.families()
    key = word.lower().replace("-", " ")
    for plural, registry in families.items():
        if key in (plural, registry.family):
            return plural, registry
    raise UnknownComponentError(
        f"no family named {word!r}{did_you_mean(key, families)}; "
        f"the families are {', '.join(families)}",
        family="family",
        name=word,
    )


def find_component(catalog: Catalog, name: str) -> tuple[str, Registry[Any], str]:
    """Return the family and the registered name of the component that a user calls `name`."""
    candidates = list(_candidates(catalog, name))
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        choices = " or ".join(f"`mtlkit show {plural}/{bare}`" for plural, _, bare in candidates)
        raise MtlkitError(f"{len(candidates)} components are named {name!r}; use {choices}")
    unavailable = _unavailable(catalog, name)
    if unavailable is not None:
        raise unavailable.error(
            f"{name!r} is unavailable: {unavailable.reason}", family="component", name=name
        )
    known = [entry.name for registry in catalog.families().values() for entry in registry]
    hint = did_you_mean(name, known) or ";"
    raise UnknownComponentError(
        f"no component named {name!r}{hint} `mtlkit list` shows all", family="component", name=name
    )


def _unavailable(catalog: Catalog, name: str) -> UnavailablePlugin | None:
    family, _, bare = name.partition("/")
    for registry in catalog.families().values():
        if family in (registry.plural, registry.family):
            return registry.blocked(bare)
    return catalog.heads.blocked(name)  # every registry blocks the same namespaces


def _candidates(catalog: Catalog, name: str) -> Iterator[tuple[str, Registry[Any], str]]:
    family, _, bare = name.partition("/")
    for plural, registry in catalog.families().items():
        if name in registry:
            yield plural, registry, name
        elif family in (plural, registry.family) and bare in registry:
            yield plural, registry, bare


def echo_table(rows: Sequence[Sequence[str]], indent: str = "") -> None:
    """Print the rows of a table, every column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
        echo(indent + "  ".join(cells).rstrip())
