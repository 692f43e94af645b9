"""What outsiders hold on to is frozen: whoever changes it changes this file, and knows."""

import importlib
import importlib.metadata

import attrs
import click

import mtlkit
from mtlkit.cli import COMMANDS, _imported
from mtlkit.cli import mtlkit as group
from mtlkit.ops.dispatch.names import IMPLEMENTATIONS
from mtlkit.plugins.catalog import Catalog, Registrar, load_catalog
from mtlkit.plugins.hooks import API, API_FLOOR, Hooks

PUBLIC = {
    *("Catalog", "Component", "MtlkitError", "Recipe", "Role", "Task", "TaskKind", "Train"),
    *("dump_recipe", "fit", "hookimpl", "load_catalog", "load_model", "load_recipe", "resume"),
    *("compare", "evaluate", "tune"),
    *("backbones", "comparison", "data", "evaluators", "heads", "loggers", "metrics", "ops"),
    *("optim", "plugins", "report", "routers", "runs", "testing", "weightings"),
}

FAMILIES = {
    "backbones": "backbone",
    "heads": "head",
    "metrics": "metric",
    "routers": "router",
    "branches": "branch",
    "weightings": "weighting",
    "data": "data source",
    "optimizers": "optimizer",
    "schedules": "schedule",
    "evaluators": "evaluator",
    "loggers": "logger",
    "ops": "op",
    "implementations": "implementation",
}

COMPONENTS = {
    "backbones": {"casia-net", "mlp", "timm"},
    "heads": {"classification", "margin", "regression"},
    "metrics": {"accuracy", "mae", "r2", "rmse"},
    "routers": {
        "cgc",
        "cross-stitch",
        "dselect-k",
        "grouped",
        "learn-to-branch",
        "mmoe",
        "mtan",
        "ple",
        "shared",
    },
    "branches": {"block", "linear"},
    "weightings": {
        "aligned-mtl", "auto-lambda", "bounded-uncertainty", "cagrad", "cov", "cr-mogm", "db-mtl",
        "dwa", "dynamic", "equal", "excess-mtl", "fairgrad", "famo", "fixed", "gls", "gradnorm",
        "gradvac", "harder-first", "imtl-g", "imtl-l", "log", "mgda", "moco", "modo", "nash-mtl",
        "pcgrad", "rlw", "sdmgrad", "stch", "uncertainty",
    },
    "data": {"images", "table"},
    "optimizers": {"adamw", "sgd"},
    "schedules": {"constant", "cosine", "steps"},
    "evaluators": {"tasks"},
    "loggers": {"jsonl", "tensorboard"},
    "ops": set(IMPLEMENTATIONS),
    "implementations": set(),
}  # fmt: skip

OPTIONS = {
    "train": {"recipe", "--set", "--out", "--beside", "--cache", "--quiet"},
    "tune": {"recipe", "--set", "--trials", "--between", "--seed", "--out", "--cache", "--quiet"},
    "compare": {
        *("what", "other", "--out", "--workers", "--devices", "--on", "--retry-failed"),
        *("--dry-run", "--cache", "--quiet"),
    },
    "runs": {"folder", "--where", "--state", "--sort", "--inside", "--open"},
    "resume": {"run", "--beside", "--cache", "--quiet"},
    "evaluate": {"run", "--beside", "--cache"},
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
    ]
    assert (API_FLOOR, API) == ((1, 0), (1, 2))


def test_the_families():
    families = Catalog().families()
    assert {plural: registry.family for plural, registry in families.items()} == FAMILIES
    assert {plural: registry.plural for plural, registry in families.items()} == {
        plural: plural for plural in FAMILIES
    }
    origin = load_catalog("none").weightings.entry("equal").origin
    assert set(vars(Registrar(Catalog(), "", origin))) == set(FAMILIES)
    assert {field.name for field in attrs.fields(Catalog)} == {*FAMILIES, "plugins", "commands"}


def test_the_built_in_components():
    catalog = load_catalog("none")
    found = {plural: set(registry.names()) for plural, registry in catalog.families().items()}
    assert found == COMPONENTS
    for registry in catalog.families().values():
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
