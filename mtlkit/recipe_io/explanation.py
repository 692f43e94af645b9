"""A recipe with all options, and the source location or plugin of each."""

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from mtlkit.component import Component, type_key
from mtlkit.plugins.catalog import Catalog
from mtlkit.recipe_io.dump import plain, plain_text
from mtlkit.recipe_io.load import Written
from mtlkit.recipe_io.structuring import options_of

Row = tuple[str, str]


def option_sources(written: Written, catalog: Catalog) -> list[Row]:
    """Return a row for each value of a recipe: the value, indented, and its source."""
    return list(_rows(catalog, written, written.recipe, ()))


def _rows(catalog: Catalog, written: Written, value: Any, path: tuple[str, ...]) -> Iterator[Row]:
    for name, part in _parts(value):
        part_path = (*path, name)
        label = f"{'  ' * len(path)}{name}:"
        if isinstance(part, Component):
            registry = catalog.registry_of(type(part))
            entry = registry.entry_of(type(part))
            source = _source(written, part_path, (*part_path, type_key))
            yield f"{label} {registry.name_of(type(part))}", f"{entry.origin}; {source}"
        elif _parts(part):
            yield label, _source(written, part_path)
        else:
            yield f"{label} {plain_text(plain(part, catalog))}", _source(written, part_path)
        yield from _rows(catalog, written, part, part_path)


def _parts(value: Any) -> list[tuple[str, Any]]:
    """Return the parts of `value` by name; none for a value that fits on one line."""
    if isinstance(value, Mapping):
        return list(value.items())
    if isinstance(value, tuple) and any(_parts(i) or isinstance(i, Component) for i in value):
        return [(str(index), item) for index, item in enumerate(value)]
    if attrs.has(type(value)):
        return [(name, getattr(value, f.name)) for name, f in options_of(type(value)).items()]
    return []


def _source(written: Written, *paths: tuple[str, ...]) -> str:
    """Return the location of the last of `paths` in the recipe, or ``default``."""
    locations = [str(at) for path in paths if (at := written.location(path)) is not None]
    return locations[-1] if locations else "default"
