"""Plugins observe a run by hooks; whatever a hook does, the run and other hooks are the same."""

import inspect
import json
import logging
import pickle
import random

import attrs
import pytest
import torch

from mtlkit import fit, hookimpl, load_catalog, resume
from mtlkit.backbones import MLP
from mtlkit.callbacks import StepEvent
from mtlkit.comparison import ProblemCompared
from mtlkit.data import DataSource, Loading
from mtlkit.errors import DataError
from mtlkit.evaluators import Chart, Section, Text
from mtlkit.plugins.catalog import Catalog
from mtlkit.plugins.hooks import Hooks
from mtlkit.plugins.observers import HOOK_OF, SECTIONS, Observers
from mtlkit.runs import CheckpointSaved, EpochEnded, Evaluated, RunEnded, RunInfo, RunStarted
from mtlkit.runs.evaluate import evaluate
from mtlkit.runs.fit import RunSession
from mtlkit.runs.storage.folder import RunFolder, State
from mtlkit.testing import add_small_data, small_recipe
from mtlkit.training.devices.ranks import Ranks

LIFECYCLE = [*HOOK_OF.values(), SECTIONS]
RECIPE = attrs.evolve(
    small_recipe(),
    backbone=MLP(hidden=(8,), dropout=0.5),  # draws from torch's generator in every update
    train=attrs.evolve(small_recipe().train, epochs=2, batch=16),
)


def observing(behavior):
    """Return a plugin that calls `behavior` with the name and the arguments of each hook."""

    class Plugin:
        pass

    for name in LIFECYCLE:

        def hook(run, event, name=name):
            return behavior(name, run, event)

        # pluggy takes a parameter with a default for an option that it does not pass
        setattr(Plugin, name, staticmethod(hookimpl(hook)))
    return Plugin()


def catalog_with(**behaviors) -> Catalog:
    catalog = add_small_data(load_catalog("none"))
    for name, behavior in behaviors.items():
        catalog.manager.register(observing(behavior), name)
    return catalog


def recording(calls):
    def behavior(name, run, event):
        calls.append((name, run, event))
        return [] if name == SECTIONS else None

    return behavior


def contents(folder):
    names = ("log.jsonl", "model.safetensors")
    metrics = json.loads((folder / "evaluation.json").read_text())["metrics"]
    return [(folder / name).read_bytes() for name in names], metrics


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The files of a run without observers."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("plain") / "run"
    fit(RECIPE, out, catalog=catalog_with(), quiet=True)
    return contents(out)


def test_the_hooks_are_called_in_order_with_their_events(tmp_path):
    calls = []
    fit(RECIPE, tmp_path / "run", catalog=catalog_with(a=recording(calls)), quiet=True)
    epoch = [*["step_logged"] * 2, "epoch_ended", "evaluated", "checkpoint_saved"]
    names = ["run_started", *epoch, *epoch, "evaluated", "report_sections", "run_ended"]
    assert [name.removeprefix("mtlkit_") for name, _, _ in calls] == names
    for name, run, event in calls:
        assert run == RunInfo(folder=tmp_path / "run", recipe=RECIPE, device="cpu")
        assert HOOK_OF[type(event)] == name or (name == SECTIONS and event.final)
    events = [event for _, _, event in calls]
    assert events[0] == RunStarted(step=0)
    assert events[1].losses.keys() == {"kind", "side", "rare", "size"}
    assert [(e.epoch, e.step) for e in events if isinstance(e, EpochEnded)] == [(1, 2), (2, 4)]
    saved = [event for event in events if isinstance(event, CheckpointSaved)]
    assert [event.step for event in saved] == [2, 4]
    assert saved[1].folder == tmp_path / "run" / "checkpoints" / "step-00000004"
    first, second, final = (e for n, _, e in calls if n == "mtlkit_evaluated")
    assert (first.step, first.epoch, second.step, final.step) == (2, 1.0, 4, 4)
    assert (first.final, second.final, final.final) == (False, False, True)
    assert "kind/loss" in second.metrics
    assert final.metrics == contents(tmp_path / "run")[1]
    assert events[-1] == RunEnded(state="finished")


def test_a_plugin_may_take_fewer_arguments_and_order_its_hooks(tmp_path):
    order = []

    class First:
        @hookimpl(tryfirst=True)
        def mtlkit_run_started(self):
            order.append("first")

    class Second:
        @hookimpl
        def mtlkit_run_started(self, event):
            order.append(event.step)

    catalog = catalog_with()
    for plugin in (First(), Second()):
        catalog.manager.register(plugin)
    run = RunInfo(folder=tmp_path, recipe=RECIPE, device="cpu")
    Observers(catalog.manager, run).notify(RunStarted(step=3))
    assert order == ["first", 3]


@pytest.mark.parametrize("error", [ValueError("odd"), SystemExit(3)], ids=["error", "exit"])
def test_a_hook_that_raises_is_named_once_and_harms_nobody(error, plain, tmp_path, caplog):
    calls = []

    def broken(name, run, event):
        raise error

    catalog = catalog_with(before=recording(calls), broken=broken, after=recording(calls))
    with caplog.at_level(logging.WARNING):
        fit(RECIPE, tmp_path / "run", catalog=catalog, quiet=True)
    assert contents(tmp_path / "run") == plain
    assert {name for name, _, _ in calls} == set(LIFECYCLE)
    assert len(calls) == 2 * 14
    assert sorted(record.getMessage() for record in caplog.records) == sorted(
        f"the plugin 'broken': {name} raised {type(error).__name__}: {error}; the run continues "
        f"without this hook"
        for name in LIFECYCLE
    )


def test_a_hook_cannot_change_the_run(plain, tmp_path):
    def meddling(name, run, event):
        torch.rand(3)
        torch.manual_seed(random.randrange(9))
        for mapping in ("losses", "weights", "metrics"):
            getattr(event, mapping, {}).clear()
        run.recipe.tasks.clear()
        return []

    fit(RECIPE, tmp_path / "run", catalog=catalog_with(meddling=meddling), quiet=True)
    assert contents(tmp_path / "run") == plain


def test_only_the_first_process_observes(tmp_path):
    calls = []
    catalog = catalog_with(a=recording(calls))
    for rank in (1, 0):
        session = RunSession(
            RunFolder(tmp_path), RECIPE, Loading(), torch.device("cpu"), Ranks(rank, 2), (), True,
            catalog,
        )  # fmt: skip
        session.observers.notify(RunStarted(step=0))
        assert len(calls) == (rank == 0)


def test_without_observers_an_event_costs_nothing():
    class Untouchable(StepEvent):
        def __getattribute__(self, name):
            raise AssertionError(f"{name} was read")

    event = object.__new__(Untouchable)
    for observers in (Observers(), Observers(load_catalog("none").manager)):
        observers.notify(event)
    assert Observers().report_sections(Evaluated(step=1, epoch=1.0, metrics={})) == ()


@attrs.frozen(kw_only=True)
class Lost(DataSource):
    """Data that cannot be loaded."""

    def load(self, loading):
        raise DataError("gone")


def test_a_run_that_fails_ends_too(tmp_path):
    calls = []
    catalog = catalog_with(a=recording(calls))
    catalog.data.add(
        attrs.evolve(catalog.data.entry("small-data"), name="lost", target=f"{__name__}:Lost"),
        Lost,
    )
    with pytest.raises(DataError):
        fit(attrs.evolve(RECIPE, data=Lost()), tmp_path / "run", catalog=catalog, quiet=True)
    assert [event for _, _, event in calls] == [
        RunStarted(step=0),
        RunEnded(state="failed", reason="DataError: gone"),
    ]


def test_a_resumed_run_starts_at_its_checkpoint(tmp_path):
    calls = []
    catalog = catalog_with(a=recording(calls))
    fit(RECIPE, tmp_path / "run", catalog=catalog, quiet=True)
    del calls[:]
    folder = RunFolder(tmp_path / "run")
    folder.write_status(attrs.evolve(folder.status(), state=State.INTERRUPTED))
    resume(tmp_path / "run", catalog=catalog, quiet=True)
    assert calls[0][2] == RunStarted(step=4)
    calls.clear()
    evaluate(tmp_path / "run", catalog=catalog, loading=Loading())
    assert [name for name, _, _ in calls] == ["mtlkit_evaluated", SECTIONS]


class TestReportSections:
    def report(self, tmp_path, **behaviors):
        fit(RECIPE, tmp_path / "run", catalog=catalog_with(**behaviors), quiet=True)
        evaluation = json.loads((tmp_path / "run" / "evaluation.json").read_text())
        return [s["title"] for s in evaluation["sections"]], tmp_path / "run" / "report.html"

    @staticmethod
    def showing(*blocks):
        def behavior(name, run, event):
            return [Section(title="Of acme", blocks=blocks)] if name == SECTIONS else None

        return behavior

    def test_they_are_kept_and_drawn(self, tmp_path):
        text = Text(text="this is what acme has to show")
        titles, page = self.report(tmp_path, acme=self.showing(text))
        assert titles[-1] == "Of acme"
        assert text.text in page.read_text()

    @pytest.mark.parametrize(
        "block",
        [
            "no block",
            Chart(title="t", kind="line", x_label="", y_label="", series={"a": None}),
        ],
        ids=["no block", "no such chart"],
    )
    def test_those_that_cannot_be_drawn_are_left_out(self, block, tmp_path, caplog):
        titles, page = self.report(tmp_path, acme=self.showing(block))
        assert "Of acme" not in titles
        assert page.is_file()
        [record] = caplog.records
        assert "the plugin 'acme': mtlkit_report_sections raised" in record.getMessage()

    @pytest.mark.parametrize("result", [None, 3, ["Section"]])
    def test_a_result_of_another_type_is_left_out(self, result, tmp_path, caplog):
        run = RunInfo(folder=tmp_path, recipe=RECIPE, device="cpu")
        catalog = catalog_with(acme=lambda name, run, event: result)
        final = Evaluated(step=1, epoch=1.0, metrics={}, final=True)
        assert Observers(catalog.manager, run).report_sections(final) == ()
        assert "raised TypeError" in caplog.text


def test_the_hooks_of_an_installed_plugin_are_called_also_in_another_process(
    distribution, tmp_path
):
    distribution(
        "acme",
        """
        from mtlkit import hookimpl

        @hookimpl
        def mtlkit_run_started(run):
            (run.folder / "started.txt").touch()
        """,
    )
    run = RunInfo(folder=tmp_path, recipe=RECIPE, device="cpu")
    for catalog in (load_catalog("acme"), pickle.loads(pickle.dumps(load_catalog("acme")))):
        Observers(catalog.manager, run).notify(RunStarted(step=0))
        (tmp_path / "started.txt").unlink()


def test_every_lifecycle_hook_takes_a_run_and_an_event():
    names = {name for name in vars(Hooks) if name.startswith("mtlkit_")}
    others = {"mtlkit_register", "mtlkit_commands", "mtlkit_comparison_sections"}
    assert names == {*others, *LIFECYCLE}
    for name in LIFECYCLE:
        assert list(inspect.signature(getattr(Hooks, name)).parameters) == ["self", "run", "event"]


def test_the_sections_of_a_comparison_are_isolated_too(caplog):
    event = ProblemCompared(problem="stripes", recipe=RECIPE, metrics={"equal": {"a/b": 0.5}})
    assert Observers().comparison_sections(event) == ()
    assert list(inspect.signature(Hooks.mtlkit_comparison_sections).parameters) == ["self", "event"]

    class Plugin:
        def __init__(self, result):
            self.result = result

        @hookimpl
        def mtlkit_comparison_sections(self, event):
            event.metrics["equal"].clear()
            return self.result

    section = Section(title="Of acme", blocks=(Text(text="a paragraph"),))
    for result, shown in (([section], (section,)), (["no section"], ())):
        catalog = load_catalog("none")
        catalog.manager.register(Plugin(result), "acme")
        assert Observers(catalog.manager).comparison_sections(event) == shown
    assert event.metrics == {"equal": {"a/b": 0.5}}
    assert "mtlkit_comparison_sections raised TypeError" in caplog.text
