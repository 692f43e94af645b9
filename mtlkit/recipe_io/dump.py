"""Recipes to YAML with all options, and the provenance of their components."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import cattrs
import yaml

from mtlkit.component import Component, type_key
from mtlkit.plugins.catalog import Catalog
from mtlkit.plugins.registry import Entry
from mtlkit.recipe import Recipe
from mtlkit.recipe_io.structuring import options_of
from mtlkit.recipe_io.yaml_reader import FLOAT, INTEGER


def dump_recipe(recipe: Recipe, catalog: Catalog) -> str:
    """Return `recipe` as YAML with all defaults, and a comment with the origin of each component.

    Reading it gives an equal recipe. Raises `UnknownComponentError` for a component that no
    registry of `catalog` names.
    """
    header = ["# A recipe of mtlkit with all options. Its components are from:"]
    lines = sorted(
        {(entry.family, entry.name, str(entry.origin)) for entry in _entries(recipe, catalog)}
    )
    width = max(len(f"{family} {name}") for family, name, _ in lines)
    header += [f"#   {f'{family} {name}':{width}}  {origin}" for family, name, origin in lines]
    return "\n".join([*header, "", dump_plain(plain(recipe, catalog))])


def provenance(recipe: Recipe, catalog: Catalog) -> dict[str, dict[str, str]]:
    """Return the origin of each component of `recipe`, by ``family/name``."""
    plurals = {registry.family: plural for plural, registry in catalog.families().items()}
    return {
        f"{plurals[entry.family]}/{entry.name}": {
            "distribution": entry.origin.distribution,
            "version": entry.origin.version,
            "target": entry.target,
            "file": entry.origin.file,
        }
        for entry in _entries(recipe, catalog)
    }


def plain(value: Any, catalog: Catalog) -> Any:
    """Return `value` as plain data, in which the name of a component is its ``type``."""
    converter = cattrs.Converter()

    def fields(value: Any) -> dict[str, Any]:
        return {
            name: converter.unstructure(getattr(value, field.name))
            for name, field in options_of(type(value)).items()
        }

    def component(value: Component) -> dict[str, Any]:
        registry = catalog.registry_of(type(value))
        return {type_key: registry.name_of(type(value)), **fields(value)}

    converter.register_unstructure_hook_func(attrs.has, fields)
    converter.register_unstructure_hook_func(
        lambda kind: isinstance(kind, type) and issubclass(kind, Component), component
    )
    converter.register_unstructure_hook(Path, lambda path: path.as_posix())
    converter.register_unstructure_hook(
        tuple, lambda items: [converter.unstructure(i) for i in items]
    )
    return converter.unstructure(value)


class _Writer(yaml.SafeDumper):
    """Quote every text that YAML 1.1 or 1.2 would read as a number."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _write_text(writer: _Writer, text: str) -> yaml.Node:
    # other styles fold line breaks, and Unicode has line breaks that YAML 1.2 lacks
    style = '"' if any(character in text for character in "\n\r\x85\u2028\u2029") else None
    return writer.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Writer.add_representer(str, _write_text)
for _tag, _number in {"int": INTEGER, "float": FLOAT}.items():
    _Writer.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _number, None)


def dump_plain(value: Any) -> str:
    """Return plain data as YAML, in the given order."""
    text: str = yaml.dump(
        value,
        Dumper=_Writer,
        sort_keys=False,
        allow_unicode=True,
        width=100,
        default_flow_style=None,
    )
    return text


def plain_text(value: Any) -> str:
    """Return a value without named parts on one line: ``[32, 32]``, ``null``, ``text``."""
    text: str = yaml.dump([value], Dumper=_Writer, default_flow_style=True, width=math.inf)
    return text.strip()[1:-1]


def components(value: Any) -> Iterator[Component]:
    """Yield every component in `value`, at any depth."""
    if isinstance(value, Component):
        yield value
    if attrs.has(type(value)):
        for field in attrs.fields(type(value)):
            yield from components(getattr(value, field.name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from components(item)
    elif isinstance(value, tuple):
        for item in value:
            yield from components(item)


def _entries(recipe: Recipe, catalog: Catalog) -> Iterator[Entry]:
    for component in components(recipe):
        yield catalog.registry_of(type(component)).entry_of(type(component))
