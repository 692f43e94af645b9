"""Components: frozen, keyword-only attrs values with a `build` method, and validators of options.

The fields of a component are its options, under the same names as in YAML.
"""

import math
import operator
from abc import ABC
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any

import attrs

from mtlkit.errors import did_you_mean

type_key = "type"
"""Key of a component's name in YAML: ``{type: casia-net, width: 0.5}``."""


@attrs.frozen(kw_only=True)
class Component(ABC):  # noqa: B024 - families add the abstract build
    """Base class of components, the options of one part of a recipe.

    Subclasses are families (`Backbone`, `Head`, ...), which add an abstract `build`. Their
    subclasses are components, decorated with ``@attrs.frozen(kw_only=True)`` and final.
    """


@attrs.frozen
class Problem:
    """A mistake in the combination of options, with its path in the recipe.

    >>> str(Problem(path=("weighting",), message="needs a main task"))
    'weighting: needs a main task'
    """

    path: tuple[str, ...]
    message: str

    def __str__(self) -> str:
        return f"{'.'.join(self.path)}: {self.message}"

    def under(self, *path: str) -> "Problem":
        """Return the problem with a path that starts with `path`."""
        return Problem((*path, *self.path), self.message)


LARGEST_WHOLE = 2**63 - 1
"""The largest option that is a whole number: torch stores sizes and seeds with 64 bits."""

LARGEST_NUMBER = 3.4028234663852886e38
"""The largest option that is a number: the largest float32."""

Validator = Callable[[Any, "attrs.Attribute[Any]", Any], None]


@attrs.frozen
class Rule:
    """A validator that also describes the accepted values in JSON Schema, for editors.

    JSON Schema keywords apply only to values of their type: ``minimum`` ignores null.
    """

    check: Validator
    schema: Mapping[str, Any]

    def __call__(self, instance: Any, field: "attrs.Attribute[Any]", value: Any) -> None:
        self.check(instance, field, value)


_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "minimum": operator.ge,
    "exclusiveMinimum": operator.gt,
    "maximum": operator.le,
    "exclusiveMaximum": operator.lt,
}
"""Comparisons of a number with a bound, by the keyword of JSON Schema."""


def _within(expected: str, *, whole: bool = False, **bounds: float) -> Validator:
    """Accept numbers within `bounds`, keywords of JSON Schema, which `expected` describes."""
    largest, kind = (LARGEST_WHOLE, "int64") if whole else (LARGEST_NUMBER, "float32")

    def check(_: Any, field: "attrs.Attribute[Any]", value: Any) -> None:
        number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
        # infinite numbers and NaN are outside all bounds
        finite = number and (isinstance(value, int) or math.isfinite(value))
        if not finite or not all(_COMPARISONS[key](value, bounds[key]) for key in bounds):
            raise ValueError(f"{field.name}: expected {expected}, got {value!r}")
        if value > largest and "maximum" not in bounds:
            raise ValueError(f"{field.name}: expected at most {largest!r}, the largest {kind}")

    return Rule(check, bounds)


def above(bound: float) -> Validator:
    """Accept a number strictly above `bound`.

    >>> @attrs.frozen(kw_only=True)
    ... class Step:
    ...     size: float = attrs.field(validator=above(0))
    >>> Step(size=-1.0)
    Traceback (most recent call last):
    ValueError: size: expected a number above 0, got -1.0
    """
    return _within(f"a number above {bound}", exclusiveMinimum=bound)


def between(low: float, high: float) -> Validator:
    """Accept a number from `low` to `high`, both included."""
    return _within(f"a number from {low} to {high}", minimum=low, maximum=high)


def seed_number() -> Validator:
    """Accept a seed of torch's random numbers: a whole number from 0 to 2^64 - 1."""
    expected = f"a whole number from 0 to {LARGEST_SEED}"
    return _within(expected, whole=True, minimum=0, maximum=LARGEST_SEED)


LARGEST_SEED = 2**64 - 1
"""The largest seed of torch's random numbers."""


def at_least(bound: int) -> Validator:
    """Accept a whole number not below `bound`; for fractions use `at_least_number`."""
    if not isinstance(bound, int):
        raise TypeError(
            f"at_least: got the bound {bound!r}, expected a whole number; use at_least_number"
        )
    return _within(f"a whole number of at least {bound}", whole=True, minimum=bound)


def at_least_number(bound: float) -> Validator:
    """Accept a number not below `bound`."""
    return _within(f"a number of at least {bound}", minimum=bound)


def one_of(*choices: str) -> Validator:
    """Accept one of the given words."""

    def check(_: Any, field: "attrs.Attribute[Any]", value: Any) -> None:
        if value not in choices:
            suggestion = did_you_mean(value, choices) if isinstance(value, str) else ""
            raise ValueError(
                f"{field.name}: expected one of {', '.join(choices)}, got {value!r}{suggestion}"
            )

    return Rule(check, {"enum": [*choices]})


def member_of(kind: type[Enum]) -> Validator:
    """Accept a member of an enumeration, not its value: ``Role.MAIN``, not ``"main"``."""

    def check(_: Any, field: "attrs.Attribute[Any]", value: Any) -> None:
        if not isinstance(value, kind):
            known = ", ".join(str(item.value) for item in kind)
            article = "an" if kind.__name__[0] in "AEIOU" else "a"
            raise ValueError(
                f"{field.name}: expected {article} {kind.__name__} ({known}), got {value!r}"
            )

    return check


def below(bound: float) -> Validator:
    """Accept a number from 0 to `bound`, excluding `bound`."""
    return _within(f"a number from 0 to below {bound}", minimum=0, exclusiveMaximum=bound)


def optional(validator: Validator) -> Validator:
    """Accept None and the values that `validator` accepts."""

    def check(instance: Any, field: "attrs.Attribute[Any]", value: Any) -> None:
        if value is not None:
            validator(instance, field, value)

    schema = schema_of(validator)
    return Rule(check, {"anyOf": [{"type": "null"}, schema]} if schema else {})


def word_or(word: str, validator: Validator) -> Validator:
    """Accept `word` and the values that `validator` accepts.

    >>> @attrs.frozen(kw_only=True)
    ... class Run:
    ...     threads: int | str = attrs.field(validator=word_or("auto", at_least(1)))
    >>> Run(threads=0)
    Traceback (most recent call last):
    ValueError: threads: expected 'auto' or a whole number of at least 1, got 0
    """

    def check(instance: Any, field: "attrs.Attribute[Any]", value: Any) -> None:
        if value != word:
            try:
                validator(instance, field, value)
            except ValueError as cause:
                expected = str(cause).replace(": expected ", f": expected {word!r} or ", 1)
                raise ValueError(expected) from None

    schema = schema_of(validator)
    return Rule(check, {"anyOf": [{"const": word}, schema]} if schema else {})


def each(validator: Validator) -> Validator:
    """Accept a collection if `validator` accepts every item (of a mapping: every value)."""

    def check(instance: Any, field: "attrs.Attribute[Any]", value: Any) -> None:
        items: Iterable[Any] = value.values() if isinstance(value, Mapping) else value
        for item in items:
            validator(instance, field, item)

    schema = schema_of(validator)
    return Rule(check, {"items": schema, "additionalProperties": schema} if schema else {})


def nonempty(validator: Validator) -> Validator:
    """Accept a collection of at least one item if `validator` accepts it."""

    def check(instance: Any, field: "attrs.Attribute[Any]", value: Any) -> None:
        if not value:
            raise ValueError(f"{field.name}: expected at least one item, got none")
        validator(instance, field, value)

    return Rule(check, {**schema_of(validator), "minItems": 1, "minProperties": 1})


def schema_of(validator: Validator | None) -> Mapping[str, Any]:
    """Return the JSON Schema of the values that `validator` accepts; empty if it has none.

    >>> schema_of(each(above(0)))["items"]
    {'exclusiveMinimum': 0}
    """
    return validator.schema if isinstance(validator, Rule) else {}
