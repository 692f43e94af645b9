"""Reading what was written gives the same value, for every registered component."""

from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import attrs
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mtlkit.backbones import MLP
from mtlkit.component import Component
from mtlkit.plugins.catalog import Catalog, load_catalog
from mtlkit.recipe import Recipe, Train
from mtlkit.recipe_io import dump_recipe, parse_recipe, provenance
from mtlkit.recipe_io.dump import dump_plain, plain
from mtlkit.recipe_io.error_text import is_union
from mtlkit.recipe_io.snippet import RECIPE_PATHS
from mtlkit.recipe_io.structuring import new_converter, options_of
from mtlkit.recipe_io.yaml_reader import read_yaml
from mtlkit.routers import Shared
from mtlkit.task import Task
from mtlkit.weightings import Equal

AWKWARD = [
    *("no", "yes", "on", "1e-4", "1e4", ".5", "010", "0o17", "0x1F", "1:30", "~", "null", "true"),
    *(
        "",
        " ",
        "a: b",
        "- a",
        "#c",
        "é☃\U0001f600",
        "'",
        '"',
        "\n",
        "a\nb",
        "\t",
        ".nan",
        "=",
        "<<",
    ),
    *(
        "{subject}_{yaw}.png",
        "*a",
        "&a",
        "!a",
        "%a",
        "@a",
        "2024-01-01",
        "x" * 200,
        "\x85",
        "\ufeff",
    ),
]
TEXT = st.sampled_from(AWKWARD) | st.text(max_size=8)
NUMBERS = st.sampled_from([0.0, 0.1, 0.5, 1.0, 1e-5, 3e20, -2.5]) | st.floats(allow_nan=False)
LEAVES = {
    int: st.sampled_from([1, 3, 13, 32]) | st.integers(),
    float: NUMBERS,
    bool: st.booleans(),
    str: TEXT,
    # the empty path is the working directory, and a NUL is in no path
    Path: TEXT.filter(lambda text: "\0" not in text).map(Path),
    type(None): st.none(),
}


def value_of(kind: Any, catalog: Catalog, depth: int) -> st.SearchStrategy[Any]:
    """Values of the type `kind`."""
    if kind in LEAVES:
        return LEAVES[kind]
    arguments, origin = get_args(kind), get_origin(kind)
    if is_union(kind):
        return st.one_of([value_of(member, catalog, depth) for member in arguments])
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is tuple and arguments[-1] is ...:
        return st.lists(value_of(arguments[0], catalog, depth), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*[value_of(member, catalog, depth) for member in arguments])
    if origin is not None and issubclass(origin, Mapping):
        return st.dictionaries(TEXT, value_of(arguments[1], catalog, depth), max_size=3)
    if issubclass(kind, Enum):
        return st.sampled_from(list(kind))
    if issubclass(kind, Component):
        registry = catalog.registry_of(kind)
        fitting = [cls for cls in map(registry.get, registry.names()) if issubclass(cls, kind)]
        return st.one_of(
            [instance_of(cls, catalog, depth - 1) for cls in fitting]
            if depth
            else [instance_of(fitting[0], catalog, 0)]
        )
    return instance_of(kind, catalog, depth)


def accepted(field: "attrs.Attribute[Any]", value: Any) -> bool:
    """Whether the field's validator takes the value, as far as it says without the rest."""
    try:
        if field.validator is not None:
            field.validator(None, field, value)
    except ValueError:
        return False
    except (AttributeError, TypeError):  # it looks at other fields
        return True
    return True


def words_of(schema: Any) -> Iterator[Any]:
    """Yield the words that a part of a JSON Schema lists."""
    if isinstance(schema, Mapping):
        yield from schema.get("enum", ())
        schema = list(schema.values())
    if isinstance(schema, list):
        for part in schema:
            yield from words_of(part)


def accepted_values(
    field: "attrs.Attribute[Any]", catalog: Catalog, depth: int
) -> st.SearchStrategy[Any]:
    """Values of the field's type that its validator takes.

    A validated number or word is drawn from those candidates that the validator takes: hypothesis
    gives up on a test that rejects nearly all it draws.
    """
    anything = value_of(field.type, catalog, depth)
    if field.validator is None:
        return anything
    kinds = set(get_args(field.type)) if is_union(field.type) else {field.type}
    words = [*AWKWARD, *words_of(getattr(field.validator, "schema", {}))]
    candidates = [*(range(-2, 40)), 112, 0.0, 1e-5, 0.05, 0.1, 0.5, 1.0, 1.5, 2.5, 30.0, 3e20]
    taken = [
        value
        for value in [*candidates, *words, None, True, False]
        if type(value) in kinds and accepted(field, value)
    ]
    filtered = anything.filter(lambda value: accepted(field, value))
    return st.sampled_from(taken) if taken else filtered


@st.composite
def instance_of(draw: st.DrawFn, kind: type, catalog: Catalog, depth: int) -> Any:
    """Values of an attrs class: each option its default or something its validator takes."""
    values = {}
    for name, field in options_of(kind).items():
        if field.default is attrs.NOTHING or draw(st.booleans()):
            values[name] = draw(accepted_values(field, catalog, depth))
    try:
        return kind(**values)
    except ValueError:
        assume(False)


NAMES = [
    (plural, name)
    for plural, registry in load_catalog("all").families().items()
    for name in registry.names()
    if plural not in ("ops", "implementations")  # values, which no recipe contains
] + [("weightings", "acme/everything")]

RELAXED = settings(
    max_examples=15,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)


@pytest.mark.parametrize(("plural", "name"), NAMES, ids=["/".join(pair) for pair in NAMES])
@given(data=st.data())
@settings(RELAXED)
def test_every_component_survives_writing_and_reading(plural, name, data, rich_catalog):
    cls = rich_catalog.families()[plural].get(name)
    component = data.draw(instance_of(cls, rich_catalog, 1))
    text = dump_plain(plain(component, rich_catalog))
    family = next(base for base in cls.__mro__ if base.__bases__ == (Component,))
    again = new_converter(rich_catalog).structure(read_yaml(text, "dumped"), family)
    assert again == component
    assert repr(again) == repr(component)  # 1 == 1.0 == True would pass for equal


@st.composite
def measured_task(draw: st.DrawFn, catalog: Catalog) -> Task:
    """Tasks whose metrics fit the head and have different names, one of them the primary one.

    Metrics drawn without a look at the head would hardly ever make a valid recipe.
    """
    task = draw(instance_of(Task, catalog, 1))
    known = map(catalog.metrics.get, catalog.metrics.names())
    fitting = [cls for cls in known if any(map(task.head.predicts, cls.targets))]
    drawn = [draw(instance_of(cls, catalog, 0)) for cls in fitting if draw(st.booleans())]
    task = attrs.evolve(task, metrics=tuple({value.name: value for value in drawn}.values()))
    names = [value.name for value in task.measured_by]
    return attrs.evolve(task, primary=draw(st.sampled_from([None, *names])))


def without_mismatches(recipe: Recipe) -> Recipe:
    """Return `recipe` with the parts that do not fit together replaced by plain ones."""
    wrong = {problem.path[0] for problem in recipe.problems()}
    plain_parts = {"weighting": Equal(), "evaluators": (), "router": Shared()}
    changes = {name: part for name, part in plain_parts.items() if name in wrong}
    if wrong & {"backbone", "tasks"}:
        changes |= {"backbone": MLP(hidden=(4,)), "tasks": dict.fromkeys(recipe.tasks, Task())}
    return attrs.evolve(recipe, **changes)


@given(data=st.data())
@settings(RELAXED, max_examples=15)
def test_every_recipe_survives_writing_and_reading(data, rich_catalog):
    kinds = {name: field.type for name, field in options_of(Recipe).items()}
    del kinds["tasks"]
    tasks = {
        name: data.draw(measured_task(rich_catalog))
        for name in data.draw(st.lists(TEXT, min_size=1, max_size=3, unique=True))
    }
    parts = {
        name: data.draw(value_of(kind, rich_catalog, 1))
        for name, kind in kinds.items()
        if name in ("data", "backbone", "schedule", "optimizer", "evaluators", "weighting")
    }
    recipe = Recipe(tasks=tasks, seed=data.draw(st.integers(0, 2**63)), **parts)
    recipe = without_mismatches(recipe)
    assume(not recipe.problems())
    text = dump_recipe(recipe, rich_catalog)
    again = parse_recipe(text, "dumped", rich_catalog)
    assert again == recipe
    assert list(again.tasks) == list(recipe.tasks)  # their order is that of the loss terms
    assert dump_recipe(again, rich_catalog) == text
    assert (
        new_converter(rich_catalog).structure(
            read_yaml(dump_plain(plain(Train(), rich_catalog)), "train"), Train
        )
        == Train()
    )


def test_the_dump_names_every_component_and_its_owner(good, rich_catalog):
    recipe = parse_recipe(good, "good.yaml", rich_catalog)
    text = dump_recipe(recipe, rich_catalog)
    comments = [line for line in text.splitlines() if line.startswith("#")]
    for entry in ("backbone casia-net", "router grouped", "branch linear", "logger jsonl"):
        assert any(entry in line and "mtlkit 0.1.0" in line for line in comments), entry
    assert "momentum: 0.9" in text
    assert "nesterov: false" in text  # a default, written out
    keys = [line.partition(":")[0] for line in text.splitlines() if line[:1].isalpha()]
    assert keys == [field.name for field in attrs.fields(Recipe)]


def test_provenance_names_owner_version_target_and_file(good, rich_catalog):
    found = provenance(parse_recipe(good, "good.yaml", rich_catalog), rich_catalog)
    assert found["branches/linear"]["target"] == "mtlkit.routers.linear_branch:LinearBranch"
    assert found["data/images"]["distribution"] == "mtlkit"
    for family in ("backbones/casia-net", "weightings/dynamic", "evaluators/tasks"):
        assert set(found[family]) == {"distribution", "version", "target", "file"}
        assert Path(found[family]["file"]).name == "builtins.py"


def test_every_family_of_the_catalog_can_be_written(rich_catalog):
    for plural in RECIPE_PATHS:
        registry = rich_catalog.families()[plural]
        for name in registry.names():
            assert rich_catalog.registry_of(registry.get(name)) is registry
