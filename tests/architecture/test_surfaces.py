"""What outsiders hold on to is frozen: whoever changes it changes this file, and knows."""

import importlib
import importlib.metadata
import inspect
import json

import click
import pytest

import mtlkit
from mtlkit.cli import COMMANDS, _imported
from mtlkit.cli import mtlkit as group
from mtlkit.cli.commands.plugin import EXAMPLES
from mtlkit.errors import RecipeError
from mtlkit.namespace import NAMESPACES, public_names
from mtlkit.plugins.catalog import load_catalog
from mtlkit.plugins.families import FAMILIES, Registrar
from mtlkit.plugins.hooks import API, API_FLOOR, Hooks
from mtlkit.plugins.registry import ValueRegistry
from mtlkit.recipe_io import parse_recipe
from mtlkit.testing import add_small_data, values
from mtlkit.testing.suite import CHECKS

PUBLIC = {
    *("Catalog", "Component", "MtlkitError", "Recipe", "Reduction", "Role", "Task", "Train"),
    *("GroupedBatches", "Transforms", "WarmStart"),
    *("dump_recipe", "fit", "hookimpl", "load_catalog", "load_model", "load_recipe", "resume"),
    *("balance", "compare", "evaluate", "predict", "tune"),
    *("backbones", "callbacks", "comparison", "data", "evaluators", "heads"),
    *("metrics", "ops", "optim", "plugins", "routers", "runs", "testing"),
    "weightings",
}

OPTIONS = {
    "train": {"recipe", "--set", "--out", "--or-resume", "--beside", "--cache", "--quiet"},
    "affinity": {"recipe", "--set", "--groups", "--every", "--out", "--cache"},
    "merge": {"runs", "--out", "--scale", "--base", "--cache"},
    "lr-find": {"recipe", "--set", "--from", "--to", "--steps", "--out", "--cache"},
    "tune": {"recipe", "--set", "--trials", "--between", "--seed", "--out", "--cache", "--quiet"},
    "compare": {
        *("what", "other", "--out", "--workers", "--devices", "--on", "--ray", "--retry-failed"),
        *("--dry-run", "--cache", "--quiet"),
    },
    "runs": {"folder", "--where", "--state", "--sort", "--inside", "--open"},
    "resume": {"run", "--accept", "--beside", "--cache", "--quiet"},
    "evaluate": {"run", "--accept", "--beside", "--cache"},
    "predict": {"run", "source", "--out", "--device", "--cache"},
    "export": {"run", "--out", "--license"},
    "report": {"run", "--beside", "--out"},
    "explain": {"recipe", "--set"},
    "list": {"family"},
    "show": {"name"},
    "ops": set(),
    "schema": {"--out"},
    "plugin": set(),
    "plugins": set(),
}


def test_the_public_names():
    assert set(mtlkit.__all__) == PUBLIC == set(dir(mtlkit))
    assert mtlkit.__version__ == importlib.metadata.version("mtlkit")


def test_the_hooks():
    assert [name for name in vars(Hooks) if not name.startswith("_")] == [
        "mtlkit_register",
        "mtlkit_commands",
        "mtlkit_run_started",
        "mtlkit_step_logged",
        "mtlkit_epoch_ended",
        "mtlkit_evaluated",
        "mtlkit_checkpoint_saved",
        "mtlkit_run_ended",
        "mtlkit_report_sections",
        "mtlkit_comparison_sections",
    ]
    assert (API_FLOOR, API) == ((2, 0), (2, 0))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.plural)
def test_a_family_is_declared_once(family):
    """What is declared in the table is what the catalog, recipes, the kit and plugins use."""
    module, _, name = family.base.partition(":")
    base = getattr(importlib.import_module(module), name)
    assert name in {name for space in NAMESPACES for name in public_names(space)}
    catalog = load_catalog("none")
    registry = getattr(catalog, family.plural)
    assert catalog.families()[family.plural] is registry
    assert (registry.family, registry.plural) == (family.singular, family.plural)
    registrar = Registrar(catalog, "acme", catalog.weightings.entry("equal").origin)
    getattr(registrar, family.plural).add("acme/x", "acme:X", "an x")
    registrar.commit()
    assert registry.entry("acme/x").family == family.singular
    if family.plural not in ("ops", "implementations"):
        assert issubclass(base, mtlkit.Component)
        assert inspect.isabstract(base)
        assert catalog.registry_of(base) is registry
        assert set(CHECKS[family.plural]) >= set(values.CHECKS)
    else:
        assert isinstance(registry, ValueRegistry)
        assert CHECKS[family.plural]
    assert family.plural in [each.plural for each in EXAMPLES]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.plural)
def test_the_place_of_a_family_in_a_recipe_exists(family):
    """At its path a name that is not registered is refused as one of the family."""
    if not family.recipe:
        assert family.plural in ("targets", "ops", "implementations")
        return
    value = "acme/nothing"
    for step in reversed(family.recipe):
        value = {step: value} if step else [value]
    if family.plural == "branches":
        groups = {"l": ["left"], "r": ["right"]}
        value["router"] |= {"type": "grouped", "task": "kind", "by": "side", "groups": groups}
    tasks = {"kind": {}, "side": {}}
    tree = {"data": "small-data", "backbone": {"type": "mlp"}, "tasks": tasks, **value}
    catalog = add_small_data(load_catalog("none"))
    with pytest.raises(RecipeError, match=f"the {family.singular} 'acme/nothing' is unavailable"):
        parse_recipe(json.dumps(tree), "r.json", catalog)


def test_the_built_in_components():
    for registry in load_catalog("none").families().values():
        assert len(registry) or registry.plural == "implementations"
        for entry in registry:
            assert entry.summary
            assert registry.get(entry.name).__doc__


def test_the_commands_and_their_options():
    found = {}
    for name, command in COMMANDS.items():
        parameters = _imported(command.target).params
        found[name] = {parameter.opts[0] for parameter in parameters}
        for parameter in parameters:
            assert isinstance(parameter, click.Argument) or parameter.help, parameter
    assert found == OPTIONS
    assert {option for parameter in group.params for option in parameter.opts} == {
        "--traceback",
        "--version",
    }


def test_every_target_of_the_built_ins_exists():
    for registry in load_catalog("none").families().values():
        for entry in registry:
            module, _, attribute = entry.target.partition(":")
            assert getattr(importlib.import_module(module), attribute) is registry.get(entry.name)
