"""``mtlkit explain``: check a recipe, and show what it means and where each value came from."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import click

from mtlkit.cli import current_catalog
from mtlkit.cli.list import aligned
from mtlkit.cli.options import set_option
from mtlkit.component import Component, type_key
from mtlkit.plugins.catalog import Catalog
from mtlkit.recipe_io import Written, read_recipe
from mtlkit.recipe_io.dump import plain, plain_text
from mtlkit.recipe_io.structuring import options_of

Row = tuple[str, str]


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@set_option
def explain(recipe: Path, overrides: tuple[str, ...]) -> None:
    """Check RECIPE and show it with every option, each with where it comes from."""
    catalog = current_catalog()
    written = read_recipe(recipe, catalog, overrides)
    for line in aligned(list(_rows(catalog, written, written.recipe, ()))):
        click.echo(line)
    click.echo("\nlosses of a step")
    terms = written.recipe.terms()
    rows = [(term.name, f"{term.role.value} task", term.kind.value) for term in terms]
    for line in aligned(rows):
        click.echo(f"  {line}")


def _rows(catalog: Catalog, written: Written, value: Any, path: tuple[str, ...]) -> Iterator[Row]:
    """A line for each value under `path`: what it is, and where it comes from."""
    for name, item in _parts(value):
        here = (*path, name)
        label = f"{'  ' * len(path)}{name}:"
        if isinstance(item, Component):
            registry = catalog.registry_of(type(item))
            entry = registry.entry_of(type(item))
            source = _source(written, here, (*here, type_key))
            yield f"{label} {registry.name_of(type(item))}", f"{entry.origin}; {source}"
        elif _parts(item):
            yield label, _source(written, here)
        else:
            yield f"{label} {plain_text(plain(item, catalog))}", _source(written, here)
        yield from _rows(catalog, written, item, here)


def _parts(value: Any) -> list[tuple[str, Any]]:
    """What `value` consists of, by name; nothing where it is written on one line."""
    if isinstance(value, Mapping):
        return list(value.items())
    if isinstance(value, tuple) and any(
        _parts(item) or isinstance(item, Component) for item in value
    ):
        return [(str(place), item) for place, item in enumerate(value)]
    if attrs.has(type(value)):
        return [(name, getattr(value, f.name)) for name, f in options_of(type(value)).items()]
    return []


def _source(written: Written, *paths: tuple[str, ...]) -> str:
    places = [str(place) for path in paths if (place := written.place(path)) is not None]
    return places[-1] if places else "default"
