"""Recipes as JSON Schema 2020-12, for completion and checks in editors.

The reader rejects every recipe that the schema rejects. It is stricter for types that JSON cannot
distinguish (1.0 is an integer in JSON Schema), and for incompatible parts.
"""

import contextlib
import inspect
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import attrs

from mtlkit.component import Component, schema_of, type_key
from mtlkit.errors import ComponentError
from mtlkit.plugins.catalog import Catalog
from mtlkit.plugins.registry import Entry, Registry
from mtlkit.recipe import Recipe
from mtlkit.recipe_io.dump import plain
from mtlkit.recipe_io.error_text import is_union
from mtlkit.recipe_io.layers import EXTENDS
from mtlkit.recipe_io.structuring import Field, default_of, options_of

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]

_SCALARS: Mapping[Any, str] = {
    int: "integer",
    float: "number",
    bool: "boolean",
    str: "string",
    Path: "string",
    type(None): "null",
}


def recipe_schema(catalog: Catalog) -> Schema:
    """Return the schema of a recipe with every component of `catalog`.

    A recipe with ``extends`` is a layer: it has no required keys, and a component may lack its
    name. A component that cannot be imported may have any options.

    >>> from mtlkit.plugins.catalog import load_catalog
    >>> schema = recipe_schema(load_catalog("none"))
    >>> schema["$defs"]["weightings/dynamic"]["properties"]["total"]["exclusiveMinimum"]
    0
    """
    whole, layer = _Writer(catalog), _Writer(catalog, layer=True)
    complete, extending = whole.reference(Recipe), layer.reference(Recipe)
    layer.definitions["layer/mtlkit.recipe:Recipe"]["properties"][EXTENDS] = {
        "type": "string",
        "description": "The recipe that this one changes; a path from this recipe's folder.",
    }
    return {
        "$schema": DIALECT,
        "title": "A recipe of mtlkit",
        "type": "object",
        "if": {"required": [EXTENDS]},
        "then": extending,
        "else": complete,
        "$defs": {**whole.definitions, **layer.definitions},
    }


def component_schema(catalog: Catalog, registry: Registry[Any], entry: Entry) -> Schema:
    """Return the self-contained schema of one component."""
    writer = _Writer(catalog)
    schema = writer.component(registry, entry, options_of(registry.get(entry.name)))
    return {**schema, "$defs": writer.definitions}


@attrs.define
class _Writer:
    """Collect the definitions that a schema refers to."""

    catalog: Catalog
    layer: bool = False  # nothing is required
    definitions: dict[str, Schema] = attrs.field(factory=dict)

    def name(self, of: str) -> str:
        return f"layer/{of}" if self.layer else of

    def reference(self, kind: type) -> Schema:
        """Return a reference to the definition of an attrs class or a family; define it once."""
        component = issubclass(kind, Component)
        path = f"{kind.__module__}:{kind.__qualname__}"  # two plugins may use one class name
        name = self.name(self.catalog.registry_of(kind).plural if component else path)
        if name not in self.definitions:
            self.definitions[name] = {}  # ends the recursion of a type that contains itself
            self.definitions[name] = (
                self._family(self.catalog.registry_of(kind))
                if component
                else self._value(kind, options_of(kind))
            )
        return {"$ref": f"#/$defs/{_pointer(name)}"}

    def _family(self, registry: Registry[Any]) -> Schema:
        """Return the schema of a family: a bare name, or a mapping with the name as type."""
        bare, typed = list[Schema](), list[Schema]()
        for entry in registry:
            options = _entry_options(registry, entry)
            if self.layer or not _required(options or {}):
                text = f"{entry.summary} ({entry.origin})"
                bare.append({"const": entry.name, "description": text})
            definition = self.name(f"{registry.plural}/{entry.name}")
            self.definitions[definition] = self.component(registry, entry, options)
            typed.append({"$ref": f"#/$defs/{_pointer(definition)}"})
        unnamed = {"type": "object", "properties": {type_key: False}}
        return {"oneOf": [*bare, *typed, *([unnamed] if self.layer else [])]}

    def component(
        self, registry: Registry[Any], entry: Entry, options: Mapping[str, Field] | None
    ) -> Schema:
        """Return the schema of a component as a mapping with its name as type."""
        schema: Schema = {"type": "object", "properties": {}}
        if options is not None:
            # a failing default of a plugin removes only the options of that component
            with contextlib.suppress(Exception):
                schema = self._value(registry.get(entry.name), options)
        schema["properties"] = {type_key: {"const": entry.name}, **schema["properties"]}
        schema["required"] = [type_key, *schema.get("required", [])]
        return {"title": entry.name, "x-provider": str(entry.origin), **schema}

    def _value(self, kind: type, options: Mapping[str, Field]) -> Schema:
        schema: Schema = {
            "description": (inspect.getdoc(kind) or "").partition("\n\n>>>")[0],
            "type": "object",
            "properties": {key: self._option(field) for key, field in options.items()},
            "additionalProperties": False,
        }
        if not self.layer and (required := _required(options)):
            schema["required"] = required
        return schema

    def _option(self, field: Field) -> Schema:
        schema, rule = self._type(field.type), schema_of(field.validator)
        # a reference allows no other keyword, and the rule must not replace one of the type
        separate = "$ref" in schema or set(schema) & set(rule)
        schema = {"allOf": [schema, dict(rule)]} if separate and rule else {**schema, **rule}
        if (default := default_of(field)) is not attrs.NOTHING:
            schema["default"] = plain(default, self.catalog)
        return schema

    def _type(self, kind: Any) -> Schema:
        """Return the schema of the values that the reader accepts for the type `kind`."""
        origin, arguments = get_origin(kind), get_args(kind)
        if kind in _SCALARS:
            return {"type": _SCALARS[kind]}
        if is_union(kind):
            return {"anyOf": [self._type(member) for member in arguments]}
        if origin is Literal:
            return {"enum": [*arguments]}
        if origin is tuple:
            if arguments[-1] is ...:
                return {"type": "array", "items": self._type(arguments[0])}
            size = len(arguments)
            items = [self._type(argument) for argument in arguments]
            return {"type": "array", "prefixItems": items, "minItems": size, "maxItems": size}
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return {"type": "object", "additionalProperties": self._type(arguments[1])}
        if isinstance(kind, type) and issubclass(kind, Enum):
            return {"enum": [member.value for member in kind]}
        if isinstance(kind, type) and attrs.has(kind):
            return self.reference(kind)
        return {}  # an option that cannot be written; the reader reports it


def _entry_options(registry: Registry[Any], entry: Entry) -> Mapping[str, Field] | None:
    """Return the options of a component; None if its class or its types cannot be imported."""
    try:
        return options_of(registry.get(entry.name))
    except (ComponentError, NameError):
        return None


def _required(options: Mapping[str, Field]) -> list[str]:
    return [key for key, field in options.items() if field.default is attrs.NOTHING]


def _pointer(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
