"""The component: a frozen, keyword-only attrs value that builds itself.

A component's fields are its options; the same names stand in YAML. Modules that define components
import no torch at the top, so that listing and validating stay instant; `build` imports it.
"""

import math
from abc import ABC
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any

import attrs

from mtlkit.errors import did_you_mean

type_key = "type"
"""The key that names a component in YAML: ``{type: casia-net, width: 0.5}``."""


@attrs.frozen(kw_only=True)
class Component(ABC):  # noqa: B024 - families add the abstract build
    """A value that describes a part and knows how to build it.

    Subclasses are families (`Backbone`, `Head`, ...), which add an abstract `build`; their
    subclasses are components, decorated with ``@attrs.frozen(kw_only=True)`` and final.
    """


@attrs.frozen
class Problem:
    """A mistake that shows only when parts are seen together, with its path in the recipe.

    >>> str(Problem(path=("weighting",), message="needs a main task"))
    'weighting: needs a main task'
    """

    path: tuple[str, ...]
    message: str

    def __str__(self) -> str:
        return f"{'.'.join(self.path)}: {self.message}"


Validator = Callable[[Any, "attrs.Attribute[Any]", Any], None]


@attrs.frozen
class Rule:
    """A validator that says in JSON Schema what it accepts, so that an editor can tell.

    What the keywords say of other types than theirs counts for nothing: ``minimum`` asks nothing
    of null.
    """

    check: Validator
    schema: Mapping[str, Any]

    def __call__(self, instance: Any, field: "attrs.Attribute[Any]", value: Any) -> None:
        self.check(instance, field, value)


def _number(value: object) -> bool:
    # an infinite or undefined number is within no bounds
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def above(bound: float) -> Validator:
    """A number strictly above `bound`.

    >>> @attrs.frozen(kw_only=True)
    ... class Step:
    ...     size: float = attrs.field(validator=above(0))
    >>> Step(size=-1.0)
    Traceback (most recent call last):
    ValueError: size: expected a number above 0, found -1.0
    """

    def check(_: Any, field: "attrs.Attribute[Any]", value: Any) -> None:
        if not _number(value) or not value > bound:
            raise ValueError(f"{field.name}: expected a number above {bound}, found {value!r}")

    return Rule(check, {"exclusiveMinimum": bound})


def between(low: float, high: float) -> Validator:
    """A number from `low` to `high`, both included."""

    def check(_: Any, field: "attrs.Attribute[Any]", value: Any) -> None:
        if not _number(value) or not low <= value <= high:
            raise ValueError(
                f"{field.name}: expected a number from {low} to {high}, found {value!r}"
            )

    return Rule(check, {"minimum": low, "maximum": high})


def at_least(bound: int) -> Validator:
    """A whole number not below `bound`."""

    def check(_: Any, field: "attrs.Attribute[Any]", value: Any) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or value < bound:
            raise ValueError(
                f"{field.name}: expected a whole number of at least {bound}, found {value!r}"
            )

    return Rule(check, {"minimum": bound})


def at_least_number(bound: float) -> Validator:
    """A number not below `bound`."""

    def check(_: Any, field: "attrs.Attribute[Any]", value: Any) -> None:
        if not _number(value) or not value >= bound:
            raise ValueError(
                f"{field.name}: expected a number of at least {bound}, found {value!r}"
            )

    return Rule(check, {"minimum": bound})


def one_of(*choices: str) -> Validator:
    """One of the given words."""

    def check(_: Any, field: "attrs.Attribute[Any]", value: Any) -> None:
        if value not in choices:
            suggestion = did_you_mean(value, choices) if isinstance(value, str) else ""
            raise ValueError(
                f"{field.name}: expected one of {', '.join(choices)}, found {value!r}{suggestion}"
            )

    return Rule(check, {"enum": [*choices]})


def member_of(kind: type[Enum]) -> Validator:
    """A member of an enumeration, not merely its value: ``Role.MAIN``, not ``"main"``."""

    def check(_: Any, field: "attrs.Attribute[Any]", value: Any) -> None:
        if not isinstance(value, kind):
            known = ", ".join(str(item.value) for item in kind)
            article = "an" if kind.__name__[0] in "AEIOU" else "a"
            raise ValueError(
                f"{field.name}: expected {article} {kind.__name__} ({known}), found {value!r}"
            )

    return check


def below(bound: float) -> Validator:
    """A number from 0 to `bound`, which is not included."""

    def check(_: Any, field: "attrs.Attribute[Any]", value: Any) -> None:
        if not _number(value) or not 0 <= value < bound:
            raise ValueError(
                f"{field.name}: expected a number from 0 to below {bound}, found {value!r}"
            )

    return Rule(check, {"minimum": 0, "exclusiveMaximum": bound})


def optional(validator: Validator) -> Validator:
    """None, or what `validator` accepts."""

    def check(instance: Any, field: "attrs.Attribute[Any]", value: Any) -> None:
        if value is not None:
            validator(instance, field, value)

    schema = schema_of(validator)
    return Rule(check, {"anyOf": [{"type": "null"}, schema]} if schema else {})


def each(validator: Validator) -> Validator:
    """A collection (for a mapping: its values) of which `validator` accepts every item."""

    def check(instance: Any, field: "attrs.Attribute[Any]", value: Any) -> None:
        items: Iterable[Any] = value.values() if isinstance(value, Mapping) else value
        for item in items:
            validator(instance, field, item)

    schema = schema_of(validator)
    return Rule(check, {"items": schema, "additionalProperties": schema} if schema else {})


def schema_of(validator: Validator | None) -> Mapping[str, Any]:
    """What `validator` accepts, in JSON Schema; empty for one that does not say.

    >>> schema_of(each(above(0)))["items"]
    {'exclusiveMinimum': 0}
    """
    return validator.schema if isinstance(validator, Rule) else {}
