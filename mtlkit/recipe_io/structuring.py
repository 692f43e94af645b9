"""YAML nodes to typed values: components by their name, other values by their fields."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import attrs
import cattrs
from yaml import MappingNode, Node, ScalarNode

from mtlkit.component import Component, type_key
from mtlkit.errors import ComponentError, did_you_mean
from mtlkit.optim.base import Optimizer, Schedule
from mtlkit.plugins.catalog import Catalog
from mtlkit.plugins.registry import Entry, Registry
from mtlkit.recipe import Recipe, Train
from mtlkit.recipe_io.error_text import article, describe, expected, is_union, words
from mtlkit.recipe_io.source_location import Mistake, RefusedError, refuse
from mtlkit.recipe_io.values import register_values
from mtlkit.recipe_io.yaml_nodes import (
    entries,
    entry,
    is_text,
    keys,
    location,
    mapping,
    without,
    wrap,
)

Field: TypeAlias = "attrs.Attribute[Any]"

SECTIONS: Mapping[str, type] = {"train": Train, "optimizer": Optimizer, "schedule": Schedule}
"""Sections of a recipe with keys that all values of the section have."""


def options_of(kind: type) -> dict[str, Field]:
    """Return the options of an attrs class by their names in a recipe, with resolved types."""
    attrs.resolve_types(kind)
    fields: tuple[Field, ...] = attrs.fields(kind)
    return {field.alias or field.name: field for field in fields if field.init}


def default_of(field: Field) -> Any:
    """Return the default of an option; `attrs.NOTHING` if it has none without other options."""
    default: Any = field.default
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        return attrs.NOTHING if default.takes_self else default.factory()
    return default


def new_converter(catalog: Catalog) -> cattrs.Converter:
    """Return a converter from YAML nodes to the values of a recipe; it raises `RefusedError`."""
    converter = cattrs.Converter(structure_fallback_factory=_unwritable)
    register_values(converter)

    def value(node: Node, kind: type) -> Any:
        return _Owner(kind, _name_of(kind), "key").structure(converter, _typed(node, kind, catalog))

    def component(node: Node, kind: type[Component]) -> Any:
        return _component(converter, catalog.registry_of(kind), node, kind)

    converter.register_structure_hook_func(attrs.has, value)
    converter.register_structure_hook_func(
        lambda kind: isinstance(kind, type) and issubclass(kind, Component), component
    )
    return converter


def _name_of(kind: type) -> str:
    """Return the name of a class of settings in messages: its key in a recipe if it has one."""
    name = words(kind.__name__)
    key = name.replace(" ", "_")
    return f"`{key}`" if key in {field.name for field in attrs.fields(Recipe)} else f"the {name}"


def _typed(node: Node, kind: type, catalog: Catalog) -> Node:
    """Return `node` with the names of default components that ``--set`` gives an option only.

    ``--set optimizer.lr=0.1`` changes the default optimizer, if the recipe names none.
    """
    if not isinstance(node, MappingNode):
        return node
    options = options_of(kind)
    pairs = []
    for key, written in node.value:
        default = default_of(options[key.value]) if key.value in options else None
        by_override = isinstance(written, MappingNode) and not location(written).line
        if by_override and isinstance(default, Component) and entry(written, type_key) is None:
            name = catalog.registry_of(type(default)).name_of(type(default))
            named = ScalarNode("", name, written.start_mark)
            written = mapping([*wrap(type_key, named).value, *written.value], written.start_mark)
        pairs.append((key, written))
    return mapping(pairs, node.start_mark)


def _unwritable(kind: Any) -> Callable[[Any, Any], Any]:
    def hook(node: Node, _: Any) -> Any:
        raise refuse(location(node), f"an option of the type {kind} cannot be written in a recipe")

    return hook


def _component(
    converter: cattrs.Converter, registry: Registry[Any], node: Node, kind: type[Component]
) -> Component:
    named = entry(node, type_key) if isinstance(node, MappingNode) else node
    path = (type_key,) if isinstance(node, MappingNode) else ()
    if named is None:
        raise _unnamed(registry, node)
    if not is_text(named):
        message = f"expected the name of {article(registry.family)}, got {describe(named)}"
        raise RefusedError([Mistake(location(named), message, path)])
    try:
        owner = registry.entry(named.value)
        cls = registry.get(named.value)
    except ComponentError as cause:
        raise RefusedError([Mistake(location(named), str(cause), path)]) from cause
    if not issubclass(cls, kind):
        message = f"{_credit(owner)} is not {article(registry.family)} that is allowed here"
        raise RefusedError([Mistake(location(named), message, path)])
    options = (
        without(node, type_key) if isinstance(node, MappingNode) else mapping([], node.start_mark)
    )
    structured: Component = _Owner(cls, _credit(owner), "option").structure(converter, options)
    return structured


def _credit(entry: Entry) -> str:
    return f"{entry.name!r} ({entry.origin})"


def _unnamed(registry: Registry[Any], node: Node) -> RefusedError:
    assert isinstance(node, MappingNode)
    for key, written in keys(node).items():
        if did_you_mean(key, [type_key]):
            message = f"unknown key; did you mean {type_key!r}?"
            return RefusedError([Mistake(location(written), message, (key,))])
    known = ", ".join(registry.names()[:12])
    return refuse(
        location(node),
        f"expected `{type_key}` with the name of {article(registry.family)}: {known}",
    )


@attrs.frozen
class _Owner:
    """A class with options to read, and its name in messages."""

    kind: type
    name: str
    noun: str  # for its fields: option or key

    def structure(self, converter: cattrs.Converter, node: Node) -> Any:
        """Return the value; raise `RefusedError` with every mistake in its options."""
        if not isinstance(node, MappingNode):
            raise refuse(location(node), self._form(node))
        try:
            options = options_of(self.kind)
        except NameError as cause:  # an annotation that exists for type checkers only
            raise refuse(
                location(node), f"the types of {self.name} cannot be read: {cause}"
            ) from cause
        values: dict[str, Any] = {}
        mistakes = list(self._unknown_and_missing(node, options))
        for name, written in entries(node).items():
            if name in options:
                try:
                    values[name] = converter.structure(written, options[name].type or Any)
                except RefusedError as cause:
                    refused = _with_bound(options[name], written, cause)
                    mistakes.extend(mistake.under(name) for mistake in refused.mistakes)
        if not mistakes:
            try:
                return self.kind(**values)
            except Exception as cause:  # report any error of a component as a mistake
                failed = cause
        else:
            failed = None
        mistakes.extend(_refused_by_validators(self.kind, node, options, values))
        if not mistakes and failed is not None:
            mistakes.append(_by_validator(failed, node, options, ""))
        raise RefusedError(mistakes)

    def _form(self, node: Node) -> str:
        """Return the message for a value that is not a mapping."""
        options = options_of(self.kind).values()
        optional = all(option.default is not attrs.NOTHING for option in options)
        empty = isinstance(node, ScalarNode) and node.value is None
        advice = "; write {} for the defaults" if optional and empty else ""
        return f"expected {expected(self.kind)}, got {describe(node)}{advice}"

    def _place_of(self, key: str) -> str:
        """Return the end of a message if `key` belongs to the recipe or another section, or ""."""
        if self.noun != "key":
            return ""
        if self.kind is not Recipe and key in options_of(Recipe):
            return f"; it is a key of the recipe: write `{key}:` without indentation"
        owners = [name for name, kind in SECTIONS.items() if key in options_of(kind)]
        if len(owners) != 1:
            return ""
        return f"; it is a key of {owners[0]!r}: write `{owners[0]}: {{{key}: ...}}`"

    def _unknown_and_missing(
        self, node: MappingNode, options: Mapping[str, Field]
    ) -> Iterator[Mistake]:
        """Yield unknown and missing keys; one of each form a single mistake."""
        written = keys(node)
        unknown = [key for key in written if key not in options]
        unset = [name for name in options if name not in written]
        missing = [name for name in unset if options[name].default is attrs.NOTHING]
        for key in unknown:
            advice = self._place_of(key) or did_you_mean(key, missing) or did_you_mean(key, unset)
            if not advice and len(unknown) == len(missing) == 1:
                advice = f"; did you mean {missing[0]!r}?"
            missing = [name for name in missing if f" {name!r}?" not in advice]
            known = ", ".join(options)
            advice = advice or (f"; expected one of {known}" if known else "; it has none")
            message = f"unknown {self.noun} of {self.name}{advice}"
            yield Mistake(location(written[key]), message, (key,))
        for name in missing:
            message = f"missing; {self.name} needs {expected(options[name].type)} here"
            yield Mistake(location(node), message, (name,))


def _refused_by_validators(
    kind: type, node: MappingNode, options: Mapping[str, Field], values: Mapping[str, Any]
) -> Iterator[Mistake]:
    """Yield the mistakes that validators report in options of the right type.

    Each validator runs alone on a draft, so that other mistakes hide none.
    """
    try:
        draft: Any = object.__new__(kind)
    except TypeError:  # abstract: its construction fails with a better message
        return
    written = keys(node)
    whole = True
    for name, field in options.items():
        value = default_of(field) if name not in written else values.get(name, attrs.NOTHING)
        if value is attrs.NOTHING:
            whole = False
        else:
            object.__setattr__(draft, field.name, value)
    for name, field in options.items():
        given = name in values or (whole and name not in written)
        if field.validator is None or field.converter is not None or not given:
            continue
        try:
            field.validator(draft, field, getattr(draft, field.name))
        except (ValueError, TypeError) as cause:
            yield _by_validator(cause, node, options, name)
        except Exception as cause:  # a validator may fail on an incomplete draft
            if whole:
                yield _by_validator(cause, node, options, name)


_ADDRESSED = re.compile(r"(?:\w+\.)?(\w+): (.+)", re.DOTALL)


def _by_validator(
    cause: Exception, node: MappingNode, options: Mapping[str, Field], name: str
) -> Mistake:
    """Return a validator's error at the location of the option that it names: ``lr: ...``."""
    text = str(cause.args[0]) if cause.args else type(cause).__name__
    match = _ADDRESSED.fullmatch(text)
    if match is not None and match[1] in options:
        name, text = match[1], match[2]
    elif not isinstance(cause, ValueError | TypeError):
        text = f"{type(cause).__name__}: {text}"
    at = location(entry(node, name) or node)
    return Mistake(at, text, (name,) if name else ())


def _with_bound(field: Field, node: Node, refused: RefusedError) -> RefusedError:
    """Return the mistake of a wrong type with the validator's bound: 'a number above 0'."""
    if isinstance(node, ScalarNode) and (is_union(field.type) or field.type in (int, float, str)):
        bound = bound_of(field, node.value)
        if bound is not None:
            return refuse(location(node), f"expected {bound}, got {describe(node)}")
    return refused


def bound_of(field: Field, wrong: object) -> str | None:
    """Return what the validator of `field` expects in place of a `wrong` value, if it states it."""
    try:
        if field.validator is not None:
            field.validator(None, field, wrong)
    except ValueError as cause:
        match = re.search(r"expected (.+?)(?:, got .*|; did you mean .*)?$", str(cause))
        return match and match[1]
    except Exception:  # a validator may rely on the right type
        return None
    return None
