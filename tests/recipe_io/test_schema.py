"""The schema accepts what reading accepts, refuses what is plainly wrong, and helps an editor."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from mtlkit.errors import RecipeError
from mtlkit.plugins.catalog import load_catalog
from mtlkit.recipe_io import parse_recipe
from mtlkit.recipe_io.dump import plain
from mtlkit.recipe_io.schema import recipe_schema
from mtlkit.recipe_io.snippet import RECIPE_PATHS

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = sorted(ROOT.glob("plugins/*/mtlkit_*/recipes/*.yaml"))


@pytest.fixture(scope="module")
def validator(rich_catalog):
    # what a language server is given is JSON
    schema = json.loads(json.dumps(recipe_schema(rich_catalog)))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def document(text):
    return json.loads(json.dumps(yaml.load(text, _Core)))


class _Core(yaml.SafeLoader):
    """YAML as an editor reads it, with the numbers of YAML 1.2."""


_Core.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)$"),
    list("-+0123456789."),
)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_recipe_is_accepted(path, validator):
    assert [error.message for error in validator.iter_errors(document(path.read_text()))] == []


def test_there_are_shipped_recipes_of_both_kinds():
    extending = ["extends:" in path.read_text() for path in SHIPPED]
    assert any(extending)
    assert not all(extending)


def test_the_good_recipe_and_its_resolved_form_are_accepted(validator, rich_catalog, good):
    assert validator.is_valid(document(good))
    recipe = parse_recipe(good, "r.yaml", rich_catalog)
    assert validator.is_valid(json.loads(json.dumps(plain(recipe, rich_catalog))))


WRONG = [
    ("casia-net", "casianet"),
    ("total:", "totl:"),
    ("lr: 0.02", "lr: fast"),
    ("lr: 0.02", "lr: -1"),
    ("lr: 0.02", "lr: true"),
    ("epochs: 20", "epochs: 2.5"),
    ("epochs: 20", "epochs: 0"),
    ("epochs: 20", "epochs: '20'"),
    ("batch: 64", "batch: null"),
    ("precision: bf16", "precision: b16"),
    ("momentum: 0.9", "momentum: 1.5"),
    ("test: expected", "test: expeced"),
    ("role: main", "role: mian"),
    ("[-90, -45]", "[-90, null]"),
    ("[-90, -45]", "-90"),
    ("[{type: tasks}]", "{type: tasks}"),
    ("[{type: tasks}]", "[{type: task}]"),
    ("head: classification", "head: {}"),
    ("head: classification", "head: 3"),
    ("{type: linear}", "{typ: linear}"),
    ("branch: {type: linear}", "branch: {type: linear, width: 3}"),
    ("size: 32", "sise: 32"),
    ("folder: faces, ", ""),
    ("task: identity\n", "\n"),
    ("backbone: {type: casia-net, width: 0.5}\n", ""),
    ("backbone: {type: casia-net, width: 0.5}", "backbone: timm"),
    ("{type: casia-net, width: 0.5}", "{type: acme/everything, needed: 1}"),
    ("{type: dynamic, total: 0.1}", "{type: acme/everything}"),
    ("{type: dynamic, total: 0.1}", "{type: acme/everything, needed: 1, many: [1, 0]}"),
    ("{type: dynamic, total: 0.1}", "{type: acme/everything, needed: 1, pair: [1]}"),
    ("{type: dynamic, total: 0.1}", "{type: acme/everything, needed: 1, inner: {deep: 1}}"),
    ("{type: dynamic, total: 0.1}", "{type: acme/everything, needed: 1, form: maybe}"),
]


@pytest.mark.parametrize(("right", "wrong"), WRONG)
def test_a_wrong_recipe_is_refused_by_both(right, wrong, validator, rich_catalog, good):
    text = good.replace(right, wrong, 1)
    assert text != good
    assert not validator.is_valid(document(text))
    with pytest.raises(RecipeError):
        parse_recipe(text, "r.yaml", rich_catalog)


LAYERS = [
    ("extends: a.yaml\nbackbone: {width: 0.5}", True),
    ("extends: a.yaml\nbackbone: {type: casia-net, width: 0.5}", True),
    ("extends: a.yaml\nbackbone: {type: casia-net, widht: 0.5}", False),
    ("extends: a.yaml\nbackbone: timm", True),  # its model may be in a.yaml
    ("extends: a.yaml\ntrain: {epochs: none}", False),
    ("extends: 3", False),
    ("train: {epochs: 3}", False),
]


@pytest.mark.parametrize(("text", "right"), LAYERS)
def test_of_a_layer_nothing_is_required(text, right, validator):
    assert validator.is_valid(document(text)) is right


def test_it_completes(rich_catalog):
    schema = recipe_schema(rich_catalog)
    definitions = schema["$defs"]
    names = [option["const"] for option in definitions["heads"]["oneOf"] if "const" in option]
    assert names == rich_catalog.heads.names()
    dynamic = definitions["weightings/dynamic"]
    assert dynamic["title"] == "dynamic"
    assert dynamic["x-provider"] == "mtlkit 0.1.0"
    assert "eq. 7-8" in dynamic["description"]
    assert list(dynamic["properties"])[:2] == ["type", "total"]
    assert dynamic["properties"]["total"] == {
        "type": "number", "exclusiveMinimum": 0, "default": 0.1,
    }  # fmt: skip
    face = definitions["data/face/rendered"]
    assert face["x-provider"].startswith("mtlkit-face ")
    for plural, registry in rich_catalog.families().items():
        if plural not in RECIPE_PATHS:
            continue  # ops and their implementations are named, not described
        for entry in registry:
            assert definitions[f"{plural}/{entry.name}"]["additionalProperties"] is False


def test_a_component_that_cannot_be_imported_may_have_any_options(distribution):
    distribution(
        "acme",
        """
        from mtlkit.plugins.hooks import hookimpl

        @hookimpl
        def mtlkit_register(catalog):
            catalog.heads.add("acme/lost", "mtlkit_nowhere:Lost", "gone")
        """,
    )
    schema = recipe_schema(load_catalog("acme"))
    lost = schema["$defs"]["heads/acme/lost"]
    jsonschema.validate({"type": "acme/lost", "width": 3}, {**lost, "$defs": schema["$defs"]})
    assert lost["x-provider"] == "mtlkit-acme 1.0"


@given(st.data())
def test_what_is_read_is_accepted(validator, rich_catalog, good, data):
    """Any value for any option: the schema never refuses what reading accepts."""
    scalar = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
    value = data.draw(scalar | st.lists(scalar, max_size=2))
    tree = document(good)
    tree["weighting"] = {"type": "acme/everything", "needed": 1.0}
    path = data.draw(
        st.sampled_from(
            [("weighting", o) for o in ("text", "flag", "path", "colour", "word", "mixed", "pair",
                                        "many", "size", "inner", "nested", "form", "needed")]
            + [("train", o) for o in ("epochs", "precision", "clip_norm", "threads", "loggers")]
        )
    )  # fmt: skip
    tree[path[0]][path[1]] = value
    try:
        parse_recipe(json.dumps(tree), "r.json", rich_catalog)
    except RecipeError:
        return
    assert validator.is_valid(tree), tree
