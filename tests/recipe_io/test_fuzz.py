"""Whatever is read gives a recipe that says what was written, or a `RecipeError`."""

import json
import os
import random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yaml import MappingNode, Node, SequenceNode

from mtlkit.errors import RecipeError
from mtlkit.recipe_io import dump_recipe, parse_recipe
from mtlkit.recipe_io.dump import plain
from mtlkit.recipe_io.layers import read_layers

# MTLKIT_FUZZ=10000 for a long run
EXAMPLES = int(os.environ.get("MTLKIT_FUZZ", "150"))
FUZZ = settings(
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)

WORDS = [
    *("data", "backbone", "tasks", "router", "weighting", "optimizer", "schedule", "train"),
    *("evaluators", "seed", "type", "lr", "total", "head", "groups", "branch", "folder", "size"),
    *("images", "casia-net", "timm", "model", "dynamic", "sgd", "shared", "grouped", "linear"),
    *("acme/everything", "inner", "nested", "table", "needed", "extends", "loggers", "", "~"),
]
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS) | st.text()
)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=6)
    ),
    max_leaves=30,
)


def says_what_was_written(node: Node, value: Any) -> None:
    """Every scalar of the tree stands in the recipe with its value and its type."""
    if isinstance(node, MappingNode):
        for key, child in node.value:
            says_what_was_written(child, value[key.value])
    elif isinstance(node, SequenceNode):
        assert len(node.value) == len(value)
        for child, item in zip(node.value, value, strict=True):
            says_what_was_written(child, item)
    elif isinstance(value, dict):
        assert value["type"] == node.value  # a component by its bare name
    else:
        assert value == node.value or value != value
        assert type(value) is type(node.value) or (type(value), type(node.value)) == (float, int)


def read(text: str, catalog, overrides=()) -> bool:
    """Whether `text` is a recipe; anything but a recipe or a `RecipeError` fails the test."""
    refused = None
    try:
        recipe = parse_recipe(text, "fuzz.yaml", catalog, overrides)
    except RecipeError as error:
        refused = error
    if refused is not None:
        assert refused.lines
        for line in refused.lines:
            assert line.startswith(("fuzz.yaml", "--set "))
            assert "\n" not in line
        return False
    if "path" not in text:  # a path is normalised: a//b is a/b
        tree = read_layers(text, "fuzz.yaml", None, overrides)
        says_what_was_written(tree, plain(recipe, catalog))
    assert parse_recipe(dump_recipe(recipe, catalog), "again", catalog) == recipe
    return True


@given(st.text())
@settings(FUZZ)
def test_any_text(rich_catalog, text):
    read(text, rich_catalog)


@given(st.text(alphabet="ab:-[]{},&*!|>'\"%@#? \n\t1.e~<"))
@settings(FUZZ)
def test_text_made_of_yaml(rich_catalog, text):
    read(text, rich_catalog)


@given(DOCUMENTS)
@settings(FUZZ)
def test_any_document(rich_catalog, document):
    read(json.dumps(document), rich_catalog)


@given(st.randoms(use_true_random=False), st.integers(1, 4))
@settings(FUZZ)
def test_a_recipe_with_some_characters_changed(rich_catalog, good, chance: random.Random, edits):
    text = good
    for _ in range(edits):
        place = chance.randrange(len(text))
        new = chance.choice([*" \n:,{}[]\"'&*!#-~.0123456789enotype", "true", "null", "1e-4", ""])
        text = text[:place] + new + text[place + chance.choice([0, 1, 3]) :]
    read(text, rich_catalog)


@given(
    st.sampled_from(
        ["optimizer.lr", "train.threads", "weighting", "tasks.pose", "seed", "data.type"]
    ),
    SCALARS | st.lists(SCALARS, max_size=3),
)
@settings(FUZZ)
def test_any_override(rich_catalog, good, path, value):
    read(good, rich_catalog, [f"{path}={json.dumps(value)}"])


def test_the_good_recipe_is_read(rich_catalog, good):
    assert read(good, rich_catalog)
