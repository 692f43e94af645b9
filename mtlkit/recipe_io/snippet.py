"""The options of a component, as table rows and as YAML to paste into a recipe."""

from typing import Any

import attrs

from mtlkit.component import type_key
from mtlkit.plugins.catalog import Catalog
from mtlkit.plugins.families import FAMILIES
from mtlkit.recipe_io.dump import dump_plain, plain, plain_text
from mtlkit.recipe_io.error_text import expected
from mtlkit.recipe_io.structuring import Field, bound_of, default_of, options_of

RECIPE_PATHS = {family.plural: family.recipe for family in FAMILIES if family.recipe}
"""The path in a recipe of a component of each family; an empty step is a list.

Ops and their implementations have no path: they are selected by name. Targets have none: they are
those of the data.
"""


def option_rows(options: dict[str, Field], catalog: Catalog) -> list[tuple[str, str, str]]:
    """Return a row for each option: its name, its type or bounds, and its default."""
    return [(key, _type(field), _default(field, catalog)) for key, field in options.items()]


def snippet(catalog: Catalog, plural: str, name: str, component: type) -> str:
    """Return the component as YAML for a recipe; required options show their type in brackets."""
    value: Any = {type_key: name}
    for key, field in options_of(component).items():
        required = field.default is attrs.NOTHING
        value[key] = f"<{expected(field.type)}>" if required else plain(default_of(field), catalog)
    for step in reversed(RECIPE_PATHS[plural]):
        value = {step: value} if step else [value]
    return dump_plain(value)


def _type(field: Field) -> str:
    """Return the bounds that a validator states, or else the type."""
    bound = bound_of(field, object())
    if bound is None:
        return expected(field.type)
    return bound + (" or null" if type(None) in getattr(field.type, "__args__", ()) else "")


def _default(field: Field, catalog: Catalog) -> str:
    if field.default is attrs.NOTHING:
        return "required"
    return f"default {plain_text(plain(default_of(field), catalog))}"
