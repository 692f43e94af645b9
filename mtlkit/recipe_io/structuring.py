"""Located values to typed values: components by their name, other values by their fields."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import attrs
import cattrs

from mtlkit.component import Component, type_key
from mtlkit.errors import ComponentError, did_you_mean
from mtlkit.plugins.catalog import Catalog
from mtlkit.plugins.registry import Entry, Registry
from mtlkit.recipe_io.error_text import article, expected, found, is_union
from mtlkit.recipe_io.source_location import (
    Entries,
    Mistake,
    Node,
    RefusedError,
    Scalar,
    refuse,
)
from mtlkit.recipe_io.values import register_values

Field: TypeAlias = "attrs.Attribute[Any]"


def options_of(kind: type) -> dict[str, Field]:
    """The options of an attrs class by the name they have in a recipe, their types resolved."""
    attrs.resolve_types(kind)
    fields: tuple[Field, ...] = attrs.fields(kind)
    return {field.alias or field.name: field for field in fields if field.init}


def new_converter(catalog: Catalog) -> cattrs.Converter:
    """A converter from located values to the values of a recipe; it raises `RefusedError`."""
    converter = cattrs.Converter(structure_fallback_factory=_unwritable)
    register_values(converter)

    def value(node: Node, kind: type) -> Any:
        name = f"the {kind.__name__.lower()}"
        return _Owner(kind, name, "key").structure(converter, node)

    def component(node: Node, kind: type[Component]) -> Any:
        return _component(converter, catalog.registry_of(kind), node, kind)

    converter.register_structure_hook_func(attrs.has, value)
    converter.register_structure_hook_func(
        lambda kind: isinstance(kind, type) and issubclass(kind, Component), component
    )
    return converter


def _unwritable(kind: Any) -> Callable[[Any, Any], Any]:
    def hook(node: Node, _: Any) -> Any:
        raise refuse(node.place, f"an option of the type {kind} cannot be written in a recipe")

    return hook


def _component(
    converter: cattrs.Converter, registry: Registry[Any], node: Node, kind: type[Component]
) -> Component:
    named = node.values.get(type_key) if isinstance(node, Entries) else node
    path = (type_key,) if isinstance(node, Entries) else ()
    if named is None:
        raise _unnamed(registry, node)
    if not (isinstance(named, Scalar) and isinstance(named.value, str)):
        wanted = f"the name of {article(registry.family)}"
        raise RefusedError([Mistake(named.place, f"expected {wanted}, found {found(named)}", path)])
    try:
        entry = registry.entry(named.value)
        cls = registry.get(named.value)
    except ComponentError as cause:
        raise RefusedError([Mistake(named.place, str(cause), path)]) from cause
    if not issubclass(cls, kind):
        wrong = f"{entry.name!r} ({entry.origin}) is no {registry.family} that can stand here"
        raise RefusedError([Mistake(named.place, wrong, path)])
    options = node.without(type_key) if isinstance(node, Entries) else Entries({}, {}, node.place)
    structured: Component = _Owner(cls, _credit(entry), "option").structure(converter, options)
    return structured


def _credit(entry: Entry) -> str:
    return f"{entry.name!r} ({entry.origin})"


def _unnamed(registry: Registry[Any], node: Node) -> RefusedError:
    assert isinstance(node, Entries)
    for key, place in node.keys.items():
        if key in node.values and did_you_mean(key, [type_key]):
            return RefusedError(
                [Mistake(place, f"unknown key; did you mean {type_key!r}?", (key,))]
            )
    known = ", ".join(registry.names()[:12])
    return refuse(
        node.place, f"expected `{type_key}` with the name of {article(registry.family)}: {known}"
    )


@attrs.frozen
class _Owner:
    """A class whose options are read, and how messages speak of it."""

    kind: type
    name: str
    noun: str  # what its fields are called: option or key

    def structure(self, converter: cattrs.Converter, node: Node) -> Any:
        """The value; `RefusedError` with every mistake in its options."""
        if not isinstance(node, Entries):
            raise refuse(node.place, f"expected {expected(self.kind)}, found {found(node)}")
        try:
            options = options_of(self.kind)
        except NameError as cause:  # an annotation that exists for type checkers only
            raise refuse(node.place, f"the types of {self.name} cannot be read: {cause}") from cause
        values: dict[str, Any] = {}
        mistakes = list(self._strangers(node, options))
        for name, field in options.items():
            if name in node.values:
                try:
                    values[name] = converter.structure(node.values[name], _type_of(field))
                except RefusedError as cause:
                    told = _as_validator_says(field, node.values[name], cause)
                    mistakes.extend(mistake.under(name) for mistake in told.mistakes)
        if not mistakes:
            try:
                return self.kind(**values)
            except Exception as cause:  # whatever a component's own check raises is a mistake
                failed = cause
        else:
            failed = None
        mistakes.extend(_refused_by_validators(self.kind, node, options, values))
        if not mistakes and failed is not None:
            mistakes.append(_by_validator(failed, node, options, ""))
        raise RefusedError(mistakes)

    def _strangers(self, node: Entries, options: Mapping[str, Field]) -> Iterator[Mistake]:
        """Unknown keys and missing ones; a pair of both is one mistake."""
        unknown = [key for key in node.values if key not in options]
        unset = [name for name in options if name not in node.values]
        missing = [name for name in unset if options[name].default is attrs.NOTHING]
        for key in unknown:
            advice = did_you_mean(key, missing) or did_you_mean(key, unset)
            if not advice and len(unknown) == len(missing) == 1:
                advice = f"; did you mean {missing[0]!r}?"
            missing = [name for name in missing if f" {name!r}?" not in advice]
            known = ", ".join(options)
            advice = advice or (f"; expected one of {known}" if known else "; it has none")
            message = f"unknown {self.noun} of {self.name}{advice}"
            yield Mistake(node.keys[key], message, (key,))
        for name in missing:
            wanted = expected(options[name].type)
            message = f"missing; {self.name} needs {wanted} here"
            yield Mistake(node.place, message, (name,))


def _refused_by_validators(
    kind: type, node: Entries, options: Mapping[str, Field], values: Mapping[str, Any]
) -> Iterator[Mistake]:
    """What the validators say of the options that have their right type.

    They run one by one on a draft, so that neither an unknown key nor another validator hides one.
    """
    try:
        draft: Any = object.__new__(kind)
    except TypeError:  # an abstract class: making it fails with a better message
        return
    whole = True
    for name, field in options.items():
        default: Any = field.default
        if name in values:
            object.__setattr__(draft, field.name, values[name])
        elif name in node.values or default is attrs.NOTHING:
            whole = False
        elif not isinstance(default, attrs.Factory):  # type: ignore[arg-type]
            object.__setattr__(draft, field.name, default)
        elif default.takes_self:
            whole = False
        else:
            object.__setattr__(draft, field.name, default.factory())
    for name, field in options.items():
        given = name in values or (whole and name not in node.values)
        if field.validator is None or field.converter is not None or not given:
            continue
        try:
            field.validator(draft, field, getattr(draft, field.name))
        except (ValueError, TypeError) as cause:
            yield _by_validator(cause, node, options, name)
        except Exception as cause:  # on a draft with holes even a sound validator may break
            if whole:
                yield _by_validator(cause, node, options, name)


def _type_of(field: Field) -> Any:
    return field.type if field.type is not None else Any


_ADDRESSED = re.compile(r"(?:\w+\.)?(\w+): (.+)", re.DOTALL)


def _by_validator(
    cause: Exception, node: Entries, options: Mapping[str, Field], name: str
) -> Mistake:
    """A validator's complaint at the place of its option, which its text may name: ``lr: ...``."""
    text = str(cause.args[0]) if cause.args else type(cause).__name__
    match = _ADDRESSED.fullmatch(text)
    if match is not None and match[1] in options:
        name, text = match[1], match[2]
    elif not isinstance(cause, ValueError | TypeError):
        text = f"{type(cause).__name__}: {text}"
    place = node.values[name].place if name in node.values else node.place
    return Mistake(place, text, (name,) if name else ())


def _as_validator_says(field: Field, node: Node, refused: RefusedError) -> RefusedError:
    """The mistake of a wrong type, with the bound that the validator knows: 'a number above 0'."""
    scalar = is_union(field.type) or field.type in (int, float, str)
    if not scalar or not isinstance(node, Scalar) or field.validator is None:
        return refused
    try:
        field.validator(None, field, node.value)
    except ValueError as cause:
        match = re.search(r"expected (.+?)(?:, found .*|; did you mean .*)?$", str(cause))
        if match is not None:
            return refuse(node.place, f"expected {match[1]}, found {found(node)}")
    except Exception:  # the validator relies on the right type
        return refused
    return refused
