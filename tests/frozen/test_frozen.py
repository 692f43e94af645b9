"""A plugin works, or is refused with what to do, as its plugin API and mtlkit's window demand."""

import hashlib
import sys
from pathlib import Path

import pytest

from mtlkit import fit, testing
from mtlkit.cli import main
from mtlkit.data import InputSpec
from mtlkit.plugins.catalog import PluginStatus, load_catalog
from mtlkit.recipe_io import parse_recipe

FIRST = Path(__file__).parent / "api_1_0"
SECOND = Path(__file__).parent / "api_2_0"

FROZEN = {FIRST: "bf24bb7418772ac5", SECOND: "09ba6fa2fb04d2df"}
"""The digest of each plugin; it never changes, a new API gets another plugin next to them."""


def digest(folder):
    hasher = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            hasher.update(path.relative_to(folder).as_posix().encode())
            hasher.update(path.read_bytes())
    return hasher.hexdigest()[:16]


@pytest.mark.parametrize("folder", FROZEN, ids=lambda folder: folder.name)
def test_nobody_has_changed_it(folder):
    assert digest(folder) == FROZEN[folder]


def test_a_plugin_for_api_1_is_refused_before_it_is_imported(monkeypatch):
    monkeypatch.syspath_prepend(str(FIRST))
    [record] = [one for one in load_catalog("first").plugins if one.namespace == "first"]
    assert record.status is PluginStatus.INCOMPATIBLE
    assert record.reason == (
        "mtlkit-first 1.0 was made for plugin API 1.0; expected 2.0: since 2.0 public names are in "
        "family namespaces such as mtlkit.heads, components have no versions, and classes have new "
        "names; run `pip install --upgrade mtlkit-first`, or port it by docs/guide/migrate.md"
    )
    assert (FIRST.parents[2] / "docs" / "guide" / "migrate.md").is_file()
    assert not [name for name in sys.modules if name.startswith("mtlkit_first")]


@pytest.fixture
def second(monkeypatch):
    """The catalog with the plugin for API 2.0."""
    monkeypatch.syspath_prepend(str(SECOND))
    before = set(sys.modules)
    yield load_catalog("second")
    for name in set(sys.modules) - before:
        if name.startswith("mtlkit_second"):
            del sys.modules[name]


def test_it_loads_and_registers_components(second):
    [record] = [plugin for plugin in second.plugins if plugin.namespace == "second"]
    assert record.status is PluginStatus.LOADED, record.reason
    for plural, registry in second.families().items():
        names = [entry.name for entry in registry if entry.name.startswith("second/")]
        later = ("ops", "implementations", "callbacks")
        assert names or plural in later, plural


RECIPE = """\
data: {{type: second/numbers}}
backbone: {{type: second/layer, width: 6}}
tasks: {{sign: {{role: main}}, sum: {{head: second/absolute, metrics: [mae, second/largest]}}}}
router: {router}
weighting: {weighting}
optimizer: {{type: second/descent, lr: 0.05}}
schedule: {{type: second/falling, power: 2}}
train: {{epochs: 2, batch: 8, device: cpu, threads: 1, loggers: [second/diary, jsonl]}}
transforms: {{train: [second/nudge]}}
callbacks: [second/steps]
evaluators: [second/count]
"""
GROUPED = (
    "{type: grouped, task: sign, by: sign, groups: {a: [below], b: [above]}, branch: second/linear}"
)


@pytest.mark.parametrize(
    ("router", "weighting"),
    [("second/plain", "second/sum"), ("second/plain", "second/norms"),
     ("second/plain", "second/direction"), (GROUPED, "second/sum")],
)  # fmt: skip
def test_it_trains_and_observes(second, router, weighting, tmp_path):
    recipe = parse_recipe(RECIPE.format(router=router, weighting=weighting), "r.yaml", second)
    run = fit(recipe, tmp_path / "run", catalog=second, quiet=True)
    assert run.metrics["second/samples"] == 24
    assert run.metrics["second/features"] == 6
    assert "StepEvent 6\n" in (tmp_path / "run" / "diary.txt").read_text()
    assert f"{len(run.metrics)} metrics" in run.report.read_text()
    lines = (tmp_path / "run" / "notes.txt").read_text().splitlines()
    assert lines[0] == "started at step 0 on cpu"
    assert lines[-3:] == ["saved step-00000006", "evaluated at the end", "finished"]


SLOW = {"trains-equally-on-two-ranks", "survives-spawn", "compiles", "exports"}


@pytest.mark.parametrize(
    "family", ["heads", "routers", "weightings", "optimizers", "schedules", "callbacks"]
)
def test_it_keeps_the_promises_of_its_families(second, family):
    """Among them weightings of all three kinds."""
    layer = testing.Example(
        value=second.backbones.get("second/layer")(), inputs=InputSpec(shape=(3,))
    )
    suite = testing.suite_of("second", {"backbones/second/layer": layer}, catalog=second)
    cases = [case for case in suite.cases if case.subject.plural == family]
    assert cases
    for case in cases:
        if case.check.name not in SLOW:
            case.run()


def test_its_command_runs(second, capsys, monkeypatch):
    monkeypatch.setenv("MTLKIT_PLUGINS", "second")
    with pytest.raises(SystemExit):
        main(["second"])
    assert capsys.readouterr().out == "hello from the second API\n"
