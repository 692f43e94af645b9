"""Plugins made for older plugin APIs are kept as they were, and go on working."""

import hashlib
import sys
from pathlib import Path

import pytest
from mtlkit.catalog import Status, load_catalog
from mtlkit.recipe_file import parse_recipe
from mtlkit.run.fit import fit

from mtlkit import testing
from mtlkit.cli import main

FIRST = Path(__file__).parent / "api_1_0"

FROZEN = {FIRST: "bf24bb7418772ac5"}
"""The digest of each plugin; it never changes, a new API gets a plugin of its own beside them."""


def digest(folder):
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            found.update(path.relative_to(folder).as_posix().encode())
            found.update(path.read_bytes())
    return found.hexdigest()[:16]


@pytest.mark.parametrize("folder", FROZEN, ids=lambda folder: folder.name)
def test_nobody_has_changed_it(folder):
    assert digest(folder) == FROZEN[folder]


@pytest.fixture
def first(monkeypatch):
    """The catalog with the plugin for API 1.0."""
    monkeypatch.syspath_prepend(str(FIRST))
    before = set(sys.modules)
    yield load_catalog("first")
    for name in set(sys.modules) - before:
        if name.startswith("mtlkit_first"):
            del sys.modules[name]


def test_it_loads_and_registers_all_families(first):
    [record] = [plugin for plugin in first.plugins if plugin.namespace == "first"]
    assert record.status is Status.LOADED, record.reason
    since = {"ops", "implementations"}  # families that API 1.0 did not know
    for plural, registry in first.families().items():
        if plural in since:
            continue
        assert any(entry.name.startswith("first/") for entry in registry), plural


RECIPE = """\
data: {{type: first/numbers}}
backbone: {{type: first/trunk, width: 6}}
tasks: {{sign: {{role: main}}, sum: {{head: first/absolute}}}}
routing: {routing}
weighting: {weighting}
optimizer: {{type: first/descent, lr: 0.05}}
schedule: {{type: first/falling, power: 2}}
train: {{epochs: 2, batch: 8, device: cpu, threads: 1, loggers: [first/diary, jsonl]}}
evaluation: [first/count]
"""
GROUPED = (
    "{type: grouped, task: sign, by: sign, groups: {a: [below], b: [above]}, branch: first/linear}"
)


@pytest.mark.parametrize(
    ("routing", "weighting"),
    [("first/plain", "first/sum"), ("first/plain", "first/norms"),
     ("first/plain", "first/direction"), (GROUPED, "first/sum")],
)  # fmt: skip
def test_it_trains(first, routing, weighting, tmp_path):
    recipe = parse_recipe(RECIPE.format(routing=routing, weighting=weighting), "r.yaml", first)
    run = fit(recipe, tmp_path / "run", catalog=first, quiet=True)
    assert run.metrics["first/samples"] == 24
    assert run.metrics["first/features"] == 6
    assert "StepEvent 6\n" in (tmp_path / "run" / "diary.txt").read_text()


DEAR = {"trains-equally-on-two-ranks", "survives-spawn", "compiles", "exports"}


@pytest.mark.parametrize("family", ["heads", "routers", "weightings", "optimizers", "schedules"])
def test_it_keeps_the_promises_of_its_families(first, family):
    """Weightings of all three kinds among them; what it breaks is not of these families."""
    trunk = testing.Example(value=first.backbones.get("first/trunk")(), sample_shape=(3,))
    suite = testing.suite_of("first", {"backbones/first/trunk": trunk}, catalog=first)
    cases = [case for case in suite.cases if case.subject.plural == family]
    assert cases
    for case in cases:
        if case.check.name not in DEAR:
            case.run()


def test_its_command_runs(first, capsys, monkeypatch):
    monkeypatch.setenv("MTLKIT_PLUGINS", "first")
    with pytest.raises(SystemExit):
        main(["first"])
    assert capsys.readouterr().out == "hello from the first API\n"
