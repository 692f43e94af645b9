"""Messages that name the fix: defaulted sections, misplaced keys, merge keys, seeds, options."""

import json

import pytest

from mtlkit.component import at_least
from mtlkit.errors import RecipeError, did_you_mean
from mtlkit.plugins.catalog import load_catalog
from mtlkit.recipe_io.load import parse_recipe
from mtlkit.recipe_io.snippet import option_rows
from mtlkit.recipe_io.structuring import options_of
from mtlkit.report.blocks import Chart

BASE = {
    "data": {"type": "table", "file": "rows.csv", "labels": ["kind"]},
    "backbone": "mlp",
    "tasks": {"kind": {}},
}


def parsed(*overrides, text=None):
    return parse_recipe(text or json.dumps(BASE), "r.yaml", load_catalog("none"), overrides)


def message(*overrides, text=None):
    with pytest.raises(RecipeError) as caught:
        parsed(*overrides, text=text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("optimizer.lr=0.5", lambda recipe: recipe.optimizer.lr == 0.5),
        ("schedule.warmup_steps=3", lambda recipe: recipe.schedule.warmup_steps == 3),
        ("tasks.kind.head.classes=3", lambda recipe: recipe.tasks["kind"].head.classes == 3),
    ],
)
def test_an_override_changes_an_option_of_a_default(override, value):
    assert value(parsed(override))


def test_a_file_still_names_its_components():
    text = json.dumps({**BASE, "optimizer": {"lr": 0.5}})
    assert "optimizer: expected `type` with the name of an optimizer" in message(text=text)


def test_an_unknown_option_of_a_default_names_the_component():
    assert "unknown option of 'sgd'" in message("optimizer.speed=3")


def test_a_key_of_the_recipe_in_another_section_names_its_place():
    expected = "train.seed: unknown key of `train`; it is a key of the recipe: write `seed:`"
    assert expected in message("train.seed=1")


@pytest.mark.parametrize(
    ("override", "place"),
    [
        ("epochs=3", "'train': write `train: {epochs: ...}`"),
        ("lr=0.1", "'optimizer': write `optimizer: {lr: ...}`"),
        ("train.lr=0.1", "'optimizer': write `optimizer: {lr: ...}`"),
        ("train.warmup_steps=5", "'schedule': write `schedule: {warmup_steps: ...}`"),
    ],
)
def test_a_key_of_another_section_names_its_place(override, place):
    assert f"it is a key of {place}" in message(override)


@pytest.mark.parametrize(
    ("word", "known", "suggested"),
    [
        ("best", ["test", "batch"], False),
        ("haeds", ["heads"], True),
        ("ptimizer", ["optimizer"], True),
        ("lyon", ["lion"], True),
    ],
)
def test_another_first_letter_is_no_typo(word, known, suggested):
    assert bool(did_you_mean(word, known)) is suggested


def test_merge_keys_are_refused_by_name():
    text = f"{json.dumps(BASE)[:-1]}, train: {{<<: 3}}}}"
    assert "merge keys (<<) are not part of YAML 1.2; repeat the values" in message(text=text)


def test_the_seed_is_one_that_torch_accepts():
    assert parsed(f"seed={2**64 - 1}").seed == 2**64 - 1
    expected = f"seed: expected a whole number from 0 to {2**64 - 1}, got the number {2**64}"
    assert expected in message(f"seed={2**64}") or f"got {2**64}" in message(f"seed={2**64}")


def test_no_listing_of_options_shows_an_object():
    catalog = load_catalog("none")
    for plural, registry in catalog.families().items():
        if plural not in ("ops", "implementations"):
            for entry in registry:
                for row in option_rows(options_of(registry.get(entry.name)), catalog):
                    assert " object" not in " ".join(row), (plural, entry.name, row)


def test_the_kind_of_a_chart_is_checked_when_it_is_made():
    with pytest.raises(ValueError, match="kind: expected one of line, bar, area, points, interval"):
        Chart(title="a", kind="lines", x_label="x", y_label="y", series={})


def test_a_bound_of_whole_numbers_is_whole():
    with pytest.raises(TypeError, match=r"at_least: got the bound 0\.5, .*; use at_least_number"):
        at_least(0.5)
