"""Mistakes that a recipe shows by itself: told before anything is loaded, made or touched."""

import attrs
import pytest

from mtlkit.plugins.catalog import load_catalog
from mtlkit.recipe import Recipe, Train
from mtlkit.recipe_io.snippet import RECIPE_PATHS
from mtlkit.task import Task

GROUPED = "router={{type: grouped, task: who, by: side, groups: {{a: [left], b: [right]}}, {}}}"
CATALOG = load_catalog("none")
FAMILIES = {plural: CATALOG.families()[plural] for plural in RECIPE_PATHS}


def setting(plural, component):
    """The override that puts `component` where a component of the family stands."""
    if plural == "branches":
        return GROUPED.format(f"branch: {component}")
    steps = ["who" if step == "my-task" else step for step in RECIPE_PATHS[plural]]
    value = f"[{component}]" if steps[-1] == "" else component
    return f"{'.'.join(step for step in steps if step)}={value}"


@pytest.fixture(params=["train", "explain"])
def told(request, home, refused):
    """The mistakes in the recipe, as every command that reads one tells them."""

    def run(*overrides, recipe="good.yaml"):
        options = [word for override in overrides for word in ("--set", override)]
        quiet = ["--quiet"] if request.param == "train" else []
        said = refused(request.param, recipe, *options, *quiet)
        assert not (home / "runs").exists()
        *lines, verdict = said.splitlines()
        count = "1 mistake" if len(lines) == 1 else f"{len(lines)} mistakes"
        assert verdict == f"mtlkit: error: {count}, nothing was run"
        return lines

    return run


@pytest.mark.parametrize("plural", FAMILIES)
def test_an_unknown_component_of_any_family(plural, told):
    [line] = told(setting(plural, "{type: nothing-of-the-kind}"))
    assert f"no {FAMILIES[plural].family} named 'nothing-of-the-kind'" in line
    assert f"`mtlkit list {plural}` shows all" in line


@pytest.mark.parametrize("plural", FAMILIES)
def test_a_misspelt_component_is_recognised(plural, told):
    name = FAMILIES[plural].names()[0]
    [line] = told(setting(plural, f"{{type: {name}x}}"))
    assert f"did you mean '{name}' (built in)?" in line


@pytest.mark.parametrize("plural", FAMILIES)
def test_a_component_of_a_plugin_that_was_left_out(plural, told):
    [line] = told(setting(plural, "{type: face/nothing}"))
    assert "'face/nothing' is unavailable: left out by MTLKIT_PLUGINS=none" in line


@pytest.mark.parametrize("plural", FAMILIES)
def test_a_component_of_another_family(plural, told):
    other = next(word for word in FAMILIES if word != plural and word != "data")
    stranger = next(name for name in FAMILIES[other].names() if name not in FAMILIES[plural])
    [line] = told(setting(plural, f"{{type: {stranger}}}"))
    assert f"no {FAMILIES[plural].family} named {stranger!r}" in line


@pytest.mark.parametrize("value", ["[1]", "{a: 1}", "fast"])
@pytest.mark.parametrize("option", [field.name for field in attrs.fields(Train)])
def test_a_wrong_type_for_any_option_of_training(option, value, home, refused):
    said = refused("train", "good.yaml", "--quiet", "--set", f"train.{option}={value}")
    place = f"--set train.{option}={value}: train.{option}"
    assert said.startswith(place), said
    assert "expected" in said or "unknown key" in said


@pytest.mark.parametrize("value", ["17", "true", "null"])
@pytest.mark.parametrize(
    "part",
    sorted(
        f.name for f in attrs.fields(Recipe) if f.name not in ("seed", "evaluators", "warm_start")
    ),
)
def test_a_wrong_type_for_any_part_of_a_recipe(part, value, home, refused):
    said = refused("explain", "good.yaml", "--set", f"{part}={value}")
    assert said.startswith(f"--set {part}={value}: {part}: expected"), said


@pytest.mark.parametrize("field", [field.name for field in attrs.fields(Task)])
def test_a_wrong_type_in_a_task(field, told):
    [line] = told(f"tasks.side.{field}=[17]")
    place = "metrics.0" if field == "metrics" else field
    assert f"tasks.side.{place}: expected" in line


NO_MAIN = "tasks.who.role=side"


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (
            [NO_MAIN],
            "got no main task, expected at least 1 for dynamic weights; give one task `role: main`",
        ),
        (
            [NO_MAIN, "weighting.form=product-of-means"],
            "got no main task, expected at least 1 for dynamic weights",
        ),
        (
            [NO_MAIN, GROUPED.format("branch: linear")],
            "got no main task, expected at least 1 for dynamic weights",
        ),
        (["weighting.gate_main=true"], "got 1 main loss, expected at least 2 for `gate_main`"),
        (["tasks.side.role=main", "tasks.age.role=main"], "got no side task, expected at least 1"),
    ],
)
def test_tasks_that_the_weighting_cannot_weigh(overrides, line, told):
    [said] = told(*overrides)
    assert ": weighting" in said
    assert line in said


@pytest.mark.parametrize("weighting", ["equal", "uncertainty", "{type: fixed, weights: {side: 2}}"])
def test_weightings_that_need_no_main_task_take_none(weighting, home, call):
    assert call("explain", "good.yaml", "--set", NO_MAIN, "--set", f"weighting={weighting}")[0] == 0


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ([GROUPED.format("branch: linear").replace("by: side", "by: age")], "predicts no classes"),
        ([GROUPED.format("branch: linear").replace("task: who", "task: x")], "no task named 'x'"),
        (
            ["weighting={type: fixed, weights: {whoo: 1}}"],
            "got 'whoo', expected the name of a loss",
        ),
        (["seed=-1"], "seed: expected a whole number from 0 to 18446744073709551615"),
        (["optimizer.lr=1e999"], "1e999 is too large"),
        (["optimizer={type: sgd, lr: .inf}"], "lr: expected a number above 0, got inf"),
        (["optimizer={type: sgd, lr: .nan}"], "lr: expected a number above 0, got nan"),
        (["optimizer.speed=1"], "optimizer.speed: unknown option of 'sgd'"),
        (["data.split={validation: 0.6, test: 0.5}"], "sum to less than 1"),
        (["data.split={groups: who, stratify: who}"], "expected one of `groups` and `stratify`"),
        (["data.channels=2"], "expected 1 (gray) or 3 (RGB), got 2"),
        (["backbone.hidden=[4, 0]"], "at least 1, got 0"),
        (["backbone={type: mlp, hidden: []}"], "backbone.hidden: expected at least one item"),
        (["nothing=1"], "nothing: unknown key of the recipe"),
        (["train.precisoin=bf16"], "did you mean 'precision'?"),
        (["optimizer={type: sgd, nesterov: true, momentum: 0}"], "expected a momentum above 0"),
        (
            ["callbacks=[early-stopping]", "train.evaluate_every=9"],
            "callbacks.0: EarlyStopping compares validations, got one after the last update with "
            "`evaluate_every: 9` and `epochs: 3`; validate more often, or remove it",
        ),
        (
            ["callbacks=[best-weights]", "train.evaluate_every=4"],
            "BestWeights compares validations",
        ),
        (["callbacks=[plateau]", "train.evaluate_every=4"], "Plateau compares validations"),
        (
            ["optimizer={type: schedule-free}", "schedule=cosine"],
            "schedule: got Cosine, expected constant rates for ScheduleFree",
        ),
        (
            ["optimizer={type: schedule-free}", "schedule={type: constant, warmup_steps: 3}"],
            "schedule: got Constant with `warmup_steps`, expected constant rates",
        ),
        (
            ["optimizer={type: schedule-free}", "callbacks=[plateau]"],
            "callbacks.0: Plateau changes the rates of ScheduleFree, which needs no schedule",
        ),
        (
            ["backbone={type: timm, model: resnet10t, weights: w.pth, download: true}"],
            "download: got true with `weights`, which is another source of the weights",
        ),
        *(
            (
                [f"train.precision={precision}", "train.ops={linear_cross_entropy: native}"],
                f"train.ops.linear_cross_entropy: got 'native', which cannot compute in {dtype}",
            )
            for precision, dtype in (("fp16", "float16"), ("bf16", "bfloat16"))
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_values_that_cannot_be(overrides, words, told):
    assert any(words in line for line in told(*overrides))


@pytest.mark.parametrize(
    "override", ["train.epochs", "=1", "", "train..epochs=1", "train.epochs=["]
)
def test_an_override_that_is_none(override, home, refused):
    said = refused("train", "good.yaml", "--quiet", "--set", override)
    assert "--set" in said


def test_every_mistake_of_a_file_and_of_overrides_is_told_at_once(home, told):
    text = (home / "good.yaml").read_text().replace("total", "totl").replace("main", "mian")
    (home / "bad.yaml").write_text(text)
    lines = told("seed=x", "train.epochs=0", recipe="bad.yaml")
    assert [line.split(": ")[1] for line in lines] == [
        "tasks.who.role", "weighting.totl", "seed", "train.epochs",
    ]  # fmt: skip
    assert [line.split(":")[1] for line in lines[:2]] == ["11", "14"]  # their lines in the file


def test_a_recipe_without_tasks(home, told):
    text = (home / "good.yaml").read_text()
    start, end = text.index("tasks:"), text.index("weighting:")
    (home / "bad.yaml").write_text(f"{text[:start]}tasks: {{}}\n{text[end:]}")
    [line] = told(recipe="bad.yaml")
    assert line.endswith("tasks: expected at least one task, got none")


def test_the_good_recipe_is_good(home, call):
    assert call("explain", "good.yaml")[0] == 0
