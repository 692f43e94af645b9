"""Tasks written as a pattern of names: lists, ranges, wildcards, exceptions and mistakes."""

import attrs
import pytest

from mtlkit import Recipe, Role, Task, load_catalog
from mtlkit.errors import RecipeError
from mtlkit.heads import Classification, Ordinal
from mtlkit.name_patterns import expand_braces
from mtlkit.recipe_io import dump_recipe, parse_recipe

FORTY = """
data: {type: table, file: faces.csv, labels: ["attr{1..40}"]}
backbone: mlp
tasks: {"attr{1..40}": {head: {type: classification, label_smoothing: 0.1}}}
"""
CATALOG = load_catalog("none")


def read(text, *overrides):
    return parse_recipe(text, "r.yaml", CATALOG, overrides)


def test_forty_tasks_take_one_line():
    recipe = read(FORTY)
    assert list(recipe.tasks) == [f"attr{n}" for n in range(1, 41)]
    expected = Task(head=Classification(label_smoothing=0.1))
    assert all(task == expected for task in recipe.tasks.values())
    assert recipe.data.labels == tuple(recipe.tasks)
    assert len(FORTY.strip().splitlines()) <= 5
    assert parse_recipe(dump_recipe(recipe, CATALOG), "again.yaml", CATALOG) == recipe


@pytest.mark.parametrize(
    ("tasks", "names"),
    [
        ('"{left,right}_eye": {}', ["left_eye", "right_eye"]),
        ('"*": {}', ["kind", "left_eye", "right_eye", "size", "place"]),
        ('"*_eye": {}', ["left_eye", "right_eye"]),
        ('"{kind,right*}": {}', ["kind", "right_eye"]),
    ],
)
def test_a_star_selects_among_the_labels_of_the_data(tasks, names):
    recipe = read(
        "data: {type: table, file: f.csv, labels: [kind, '{left,right}_eye', size], "
        "numeric: [size], vectors: {place: [x, y]}}\n"
        f"backbone: mlp\ntasks: {{{tasks}}}"
    )
    assert list(recipe.tasks) == names


MAPS = "maps: {ground: {files: '{stem}.png', classes: [road, sky]}}"


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ("pattern: '{split}/{person}_{x}_{y}.png', vectors: {place: [x, y]}", ["person", "place"]),
        (f"pattern: '{{split}}/*.png', {MAPS}", ["ground"]),
        ("labels: t.csv, numeric: [age], multi_label: {traits: ['attr*']}", ["age", "traits"]),
        ("labels: t.csv, vocabulary: {side: [left, right]}", ["side"]),
    ],
)
def test_a_star_selects_among_the_labels_of_images(options, names, monkeypatch):
    # one head for labels of several types, because the names alone are tested
    monkeypatch.setattr("mtlkit.recipe.mismatched_labels", lambda *_: {})
    recipe = read(
        f"data: {{type: images, folder: f, size: 32, {options}}}\nbackbone: mlp\n"
        "tasks: {'*': {head: classification}}",
    )
    assert list(recipe.tasks) == names


def test_a_star_selects_no_label_of_a_table_of_images_that_is_not_named():
    with pytest.raises(RecipeError, match="known only when it is loaded; list them"):
        read("data: {type: images, folder: f, size: 32, labels: t.csv}\n"
             "backbone: mlp\ntasks: {'*': {}}")  # fmt: skip


def test_an_entry_with_a_name_changes_what_the_pattern_gives():
    recipe = read(
        FORTY.replace("tasks: {", "tasks: {attr7: {role: main}, "),
        "tasks.attr9.head=ordinal",
        "tasks.attr3.primary=accuracy",
    )
    assert recipe.tasks["attr7"].role is Role.MAIN
    assert recipe.tasks["attr7"].head.label_smoothing == 0.1
    assert recipe.tasks["attr9"].head == Ordinal()
    assert recipe.tasks["attr3"].primary == "accuracy"
    assert len(recipe.tasks) == 40


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "type: classification",
            "type: clasification",
            "r.yaml:4:38: tasks.attr1.head.type: ",
        ),
        (
            "label_smoothing: 0.1",
            "label_smoothing: 2",
            " (also in 39 other tasks of the pattern)",
        ),
        (
            "tasks: {",
            'tasks: {"attr{5,x}": {}, ',
            "tasks.attr{1..40}: lists 'attr5', as 'attr{5,x}' does; remove it from one of them",
        ),
        ('attr{1..40}": {head', 'z*": {head', "tasks.z*: matches none of the labels: attr1, attr2"),
        (
            'attr{1..40}": {head',
            'attr{9..1}": {head',
            "expected a rising range of at most 10000 numbers, got {9..1}",
        ),
        (
            '{type: table, file: faces.csv, labels: ["attr{1..40}"]}\nbackbone: mlp\n'
            'tasks: {"attr{1..40}"',
            '{type: images, folder: f, labels: t.csv, size: 8}\nbackbone: mlp\ntasks: {"*"',
            "tasks.*: the labels of this data are known only when it is loaded; list them, as in "
            '"{age,gender}" or "label{1..40}"',
        ),
    ],
)
def test_a_mistake_names_the_task_once(old, new, message):
    assert old in FORTY
    with pytest.raises(RecipeError) as raised:
        read(FORTY.replace(old, new))
    assert message in str(raised.value)
    assert "1 mistake, nothing was run" in str(raised.value)


def test_a_name_of_a_task_is_not_a_pattern():
    recipe = read(FORTY)
    recipe = attrs.evolve(recipe, tasks={"{a,b}": Task()})
    assert isinstance(recipe, Recipe)
    with pytest.raises(RecipeError, match="expected a name; patterns are for recipe files"):
        recipe.check()


def test_braces_expand_as_in_a_shell():
    assert expand_braces("{a,b}{1..2}") == ("a1", "a2", "b1", "b2")
    assert expand_braces("n{098..101}") == ("n098", "n099", "n100", "n101")
    assert expand_braces("{a}") == ("{a}",)
    assert expand_braces("{,un}known") == ("known", "unknown")
