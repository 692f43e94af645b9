"""Validators accept their range, whole and nothing else, and say what they expected."""

import math
import re
from types import MappingProxyType

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtlkit.component import (
    LARGEST_NUMBER,
    LARGEST_WHOLE,
    Component,
    Problem,
    above,
    at_least,
    at_least_number,
    between,
    each,
    nonempty,
    one_of,
    optional,
    schema_of,
)
from mtlkit.errors import RecipeError, did_you_mean

NUMBERS = st.floats(allow_nan=True, allow_infinity=True) | st.integers()


def said(validator, value) -> str:
    """The complaint of `validator` about `value`; empty where it has none."""

    @attrs.frozen(kw_only=True)
    class Holder:
        field: object = attrs.field(validator=validator)

    try:
        Holder(field=value)
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("validator", "holds", "expected"),
    [
        (above(2), lambda x: x > 2, "a number above 2"),
        (between(-1, 2), lambda x: -1 <= x <= 2, "a number from -1 to 2"),
        (at_least_number(0.5), lambda x: x >= 0.5, "a number of at least 0.5"),
        (at_least(3), lambda x: isinstance(x, int) and x >= 3, "a whole number of at least 3"),
    ],
)
@given(value=NUMBERS | st.integers(-3, 4))
def test_a_range(validator, holds, expected, value):
    complaint = said(validator, value)
    whole = expected.startswith("a whole")
    largest, kind = (LARGEST_WHOLE, "int64") if whole else (LARGEST_NUMBER, "float32")
    inside = math.isfinite(value) and holds(value)
    assert (complaint == "") == (inside and value <= largest)
    if complaint and inside:
        assert complaint == f"field: expected at most {largest!r}, the largest {kind}"
    elif complaint:
        assert complaint == f"field: expected {expected}, got {value!r}"


@pytest.mark.parametrize("validator", [above(0), between(0, 1), at_least_number(0), at_least(0)])
@pytest.mark.parametrize("value", [True, False, "1", None, [1], math.nan, math.inf, 1j])
def test_what_is_no_number_is_refused(validator, value):
    assert re.match(r"field: expected a .*number .*, got ", said(validator, value))


def test_words():
    assert said(one_of("fp32", "bf16"), "bf16") == ""
    assert said(one_of("fp32", "bf16"), "b16") == (
        "field: expected one of fp32, bf16, got 'b16'; did you mean 'bf16'?"
    )
    assert said(one_of("fp32", "bf16"), 3) == "field: expected one of fp32, bf16, got 3"


def test_optional_and_each():
    assert said(optional(above(0)), None) == ""
    assert said(optional(above(0)), 1) == ""
    assert said(optional(above(0)), 0)
    assert said(each(above(0)), (1, 2)) == ""
    assert said(each(above(0)), {"a": 1}) == ""
    assert said(each(above(0)), MappingProxyType({"a": 1})) == ""
    assert said(each(above(0)), {"a": 1, "b": -1}) == "field: expected a number above 0, got -1"


def test_nonempty():
    assert said(nonempty(each(above(0))), (1,)) == ""
    assert said(nonempty(each(above(0))), ()) == "field: expected at least one item, got none"
    assert said(nonempty(each(above(0))), {}) == "field: expected at least one item, got none"
    assert said(nonempty(each(above(0))), (0,)) == "field: expected a number above 0, got 0"
    assert schema_of(nonempty(each(above(0))))["minItems"] == 1


def test_a_component_is_a_value():
    @attrs.frozen(kw_only=True)
    class Part(Component):
        size: int = 1

    assert Part(size=2) == Part(size=2)
    assert hash(Part()) == hash(Part())
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Part().size = 3
    with pytest.raises(TypeError):
        Part(3)


def test_a_problem_reads_as_a_line():
    assert str(Problem(("router", "by"), "no task named 'x'")) == "router.by: no task named 'x'"


def test_a_suggestion_is_the_nearest_or_nothing():
    assert did_you_mean("lrr", ["lr", "momentum"]) == "; did you mean 'lr'?"
    assert did_you_mean("CaGrad", ["PCGrad", "CAGrad"]) == "; did you mean 'CAGrad'?"
    assert did_you_mean("xyz", ["lr", "momentum"]) == ""
    assert did_you_mean("", []) == ""


@pytest.mark.parametrize(("lines", "end"), [(["a"], "1 mistake"), (["a", "b"], "2 mistakes")])
def test_a_recipe_error_counts(lines, end):
    error = RecipeError(lines)
    assert error.lines == tuple(lines)
    assert str(error).splitlines() == [*lines, f"{end}, nothing was run"]
