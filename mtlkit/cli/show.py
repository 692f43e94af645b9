"""``mtlkit show``: one component, its options, its owner, and YAML to paste."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import attrs
import click

from mtlkit.cli import current_catalog
from mtlkit.cli.list import aligned
from mtlkit.component import type_key
from mtlkit.errors import MtlkitError, UnknownComponentError, did_you_mean
from mtlkit.ops.configs import OpImplementation
from mtlkit.plugins.catalog import Catalog
from mtlkit.plugins.families import FAMILIES
from mtlkit.plugins.registry import Registry, UnavailablePlugin
from mtlkit.recipe_io.dump import dump_plain, plain, plain_text
from mtlkit.recipe_io.error_text import expected
from mtlkit.recipe_io.structuring import Field, options_of


@click.command()
@click.argument("name")
def show(name: str) -> None:
    """Show the component NAME, or FAMILY/NAME where two families have one of that name."""
    catalog = current_catalog()
    _, registry, name = find_component(catalog, name)
    entry, component = registry.entry(name), registry.get(name)
    click.echo(f"{registry.family} {name}: {entry.summary}")
    click.echo(f"from {entry.origin} ({entry.origin.file}), {entry.target}\n")
    click.echo(f"{inspect.getdoc(component) or '(not documented)'}\n")
    options = options_of(component)
    rows = option_rows(options, catalog)
    click.echo("options" if rows else "no options")
    for line in aligned(rows):
        click.echo(f"  {line}")
    if path := recipe_path(registry):
        click.echo(f"\nin a recipe\n{_snippet(catalog, path, name, options)}", nl=False)
    elif issubclass(component, OpImplementation):
        click.echo("\non the command line")
        click.echo(f"MTLKIT_OPS={component.op}={name} mtlkit train RECIPE.yaml")
    else:
        click.echo(f"\non the command line\nmtlkit ops explain {name}")


def option_rows(options: dict[str, Field], catalog: Catalog) -> list[tuple[str, str, str]]:
    """A row for each option: its name, what it may be, and its default."""
    return [(key, _type(field), _default(field, catalog)) for key, field in options.items()]


def find_component(catalog: Catalog, name: str) -> tuple[str, Registry[Any], str]:
    """The family and the name of the component that a user calls `name`."""
    found = list(_candidates(catalog, name))
    if len(found) == 1:
        return found[0]
    if found:
        choices = " or ".join(f"`mtlkit show {plural}/{bare}`" for plural, _, bare in found)
        raise MtlkitError(f"{len(found)} components are named {name!r}; use {choices}")
    unavailable = _unavailable(catalog, name)
    if unavailable is not None:
        raise unavailable.error(
            f"{name!r} is unavailable: {unavailable.reason}", family="component", name=name
        )
    known = [entry.name for registry in catalog.families().values() for entry in registry]
    raise UnknownComponentError(
        f"no component named {name!r}{did_you_mean(name, known)}; `mtlkit list` shows all",
        family="component",
        name=name,
    )


def _unavailable(catalog: Catalog, name: str) -> UnavailablePlugin | None:
    family, _, bare = name.partition("/")
    for registry in catalog.families().values():
        if family in (registry.plural, registry.family):
            return registry.blocked(bare)
    return catalog.heads.blocked(name)  # every registry is closed to the same namespaces


def _candidates(catalog: Catalog, name: str) -> Iterator[tuple[str, Registry[Any], str]]:
    family, _, bare = name.partition("/")
    for plural, registry in catalog.families().items():
        if name in registry:
            yield plural, registry, name
        elif family in (plural, registry.family) and bare in registry:
            yield plural, registry, bare


def _type(field: Field) -> str:
    """What an option may be: what its validator says, or else its type."""
    try:
        if field.validator is not None:
            field.validator(None, field, object())
    except ValueError as cause:
        match = re.search(r"expected (.+?)(?:, found .*)?$", str(cause))
        if match is not None:
            empty = " or null" if type(None) in getattr(field.type, "__args__", ()) else ""
            return f"{match[1]}{empty}"
    except Exception:  # a validator may rely on the right type
        return expected(field.type)
    return expected(field.type)


def _default(field: Field, catalog: Catalog) -> str:
    if field.default is attrs.NOTHING:
        return "required"
    return f"default {plain_text(_plain_default(field, catalog))}"


def _plain_default(field: Field, catalog: Catalog) -> Any:
    default = field.default
    return plain(default.factory() if isinstance(default, attrs.Factory) else default, catalog)  # type: ignore[arg-type,union-attr]


def recipe_path(registry: Registry[Any]) -> tuple[str, ...]:
    """Return the path of a component of the family in a recipe; empty for what is not in one."""
    [path] = [family.recipe for family in FAMILIES if family.plural == registry.plural]
    return path


def _snippet(catalog: Catalog, path: tuple[str, ...], name: str, options: dict[str, Field]) -> str:
    """The component as it is pasted into a recipe; a required option says what it wants."""
    value: Any = {type_key: name}
    for key, field in options.items():
        required = field.default is attrs.NOTHING
        value[key] = f"<{expected(field.type)}>" if required else _plain_default(field, catalog)
    for step in reversed(path):
        value = {step: value} if step else [value]
    return dump_plain(value)
