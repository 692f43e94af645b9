"""From a recipe to a run's folder: what is in it, what is refused, and what each failure leaves."""

import json
import math
import os
import signal
import sys
import threading
from contextlib import ExitStack

import attrs
import pytest
import torch
from safetensors.torch import load_file

from mtlkit import atomic_files
from mtlkit.callbacks import JsonLines, TensorBoard
from mtlkit.errors import (
    AssemblyError,
    DataError,
    InterruptedRunError,
    MissingExtraError,
    NotFiniteError,
    RecipeError,
    RunError,
)
from mtlkit.heads import Classification
from mtlkit.optim import SGD
from mtlkit.recipe_io import load_recipe
from mtlkit.runs import fit as fit_module
from mtlkit.runs.fit import fit, resume
from mtlkit.runs.prediction.predict import load_model
from mtlkit.runs.storage.folder import RunFolder, State, read_json, refuse_taken
from mtlkit.task import Task
from mtlkit.training import checkpoint, loop
from mtlkit.training.saved_steps import saved_steps
from mtlkit.training.update import Updater
from mtlkit.weightings import Dynamic, Equal, Fixed


@pytest.fixture
def start(points, tmp_path):
    """Run a recipe in a folder of the test's own."""

    def run(recipe=points.PLAIN, out="run", **options):
        options = {"catalog": points.catalog(), "quiet": True, **options}
        return fit(recipe, tmp_path / out, **options)

    return run


def at_update(monkeypatch, number, act):
    """Call `act` when the update `number` (from 0) begins."""
    plain = Updater.update

    def update(self, step, stop_request):
        if step == number:
            act()
        return plain(self, step, stop_request)

    monkeypatch.setattr(Updater, "update", update)


def test_a_run_leaves_everything_in_its_folder(start, points):
    run = start()
    folder = RunFolder(run.path)
    for path in (
        folder.recipe, folder.provenance, folder.log, folder.speed, folder.assembly,
        folder.evaluation, run.model, run.report,
    ):  # fmt: skip
        assert path.is_file(), path
    status = folder.status()
    assert (status.state, status.step, status.steps) == (State.FINISHED, 12, 12)
    assert status.seconds > 0
    assert run.metrics
    assert load_recipe(folder.recipe, points.catalog()) == points.PLAIN
    assert saved_steps(folder.checkpoints) == [8, 12]
    assert not list(folder.path.rglob(".partial-*"))
    versions = read_json(folder.provenance)
    assert versions["versions"]["torch"] == torch.__version__.split("+")[0] or torch.__version__
    assert "data/points" in versions["components"]


def test_the_log_is_reproducible_and_speed_stands_apart(start):
    one, other = (RunFolder(start(out=name).path) for name in ("one", "other"))
    assert one.log.read_bytes() == other.log.read_bytes()
    assert one.model.read_bytes() == other.model.read_bytes()
    events = [json.loads(line) for line in one.log.read_text().splitlines()]
    assert {event["kind"] for event in events} == {"step", "evaluation"}
    assert [e["step"] for e in events if e["kind"] == "step"] == [3, 6, 9, 12]
    assert [e["epoch"] for e in events if e["kind"] == "evaluation"] == [1, 2, 3]
    assert {json.loads(line)["kind"] for line in one.speed.read_text().splitlines()} == {"speed"}


def test_training_lowers_the_loss(start, points):
    gentle = attrs.evolve(points.PLAIN.optimizer, lr=0.005)
    train = attrs.evolve(points.PLAIN.train, epochs=30)
    recipe = attrs.evolve(points.PLAIN, train=train, optimizer=gentle)
    events = [
        json.loads(line) for line in RunFolder(start(recipe).path).log.read_text().splitlines()
    ]
    losses = [sum(event["losses"].values()) for event in events if event["kind"] == "step"]
    assert losses[-1] < losses[0]


def test_a_saved_model_needs_no_data(start, points):
    run = start(points.LEARNED)
    model = load_model(run.path, points.catalog()).network
    saved = load_file(run.model)
    assert all(value.equal(saved[key]) for key, value in model.state_dict().items())
    inputs = torch.randint(0, 256, (5, 1, 16, 16), dtype=torch.uint8)
    assert model(inputs).outputs["who"].shape == (5, 3)


@pytest.mark.parametrize("what", ["run", "file in it", "file"])
def test_a_taken_folder_is_refused_before_anything_is_done(start, points, tmp_path, what):
    mark = tmp_path / "loaded"
    recipe = attrs.evolve(points.PLAIN, data=points.Points(mark=mark))
    if what == "run":
        start()
    elif what == "file":
        (tmp_path / "run").write_text("mine")
    else:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "thesis.tex").write_text("mine")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path).rglob("*")}
    expected = {
        "run": "holds another run; .* `mtlkit resume .*run`",
        "file": "is a file; expected a new or empty folder",
        "file in it": "is not empty; expected a new or empty folder",
    }
    with pytest.raises(RunError, match=expected[what]):
        start(recipe)
    assert not mark.exists()
    after = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.name != ".lock"}
    assert {p: t for p, t in after.items() if p.is_file()} == {
        p: t for p, t in before.items() if p.is_file() and p.name != ".lock"
    }


def test_problems_between_parts_come_before_the_folder(start, points, tmp_path):
    side = {name: attrs.evolve(task, role=Task().role) for name, task in points.TASKS.items()}
    with pytest.raises(RecipeError, match="got no main task, expected at least 1 for dynamic"):
        start(attrs.evolve(points.PLAIN, tasks=side, weighting=Dynamic()))
    with pytest.raises(RunError, match="holds no run"):
        start(beside=(tmp_path / "nothing",))
    assert not (tmp_path / "run").exists()


def test_a_class_count_that_disagrees_is_refused(start, points, tmp_path):
    tasks = {
        **points.TASKS,
        "who": attrs.evolve(points.TASKS["who"], head=Classification(classes=9)),
    }
    with pytest.raises(AssemblyError, match="states 9 classes, the training data has 3"):
        start(attrs.evolve(points.PLAIN, tasks=tasks))
    assert not (tmp_path / "run").exists()
    assert start().metrics  # the same folder is free for the corrected recipe


def test_a_mistake_found_in_the_data_leaves_nothing_behind(start, points, tmp_path):
    with pytest.raises(DataError, match="no label"):
        start(attrs.evolve(points.PLAIN, tasks={"absent": Task()}, weighting=Equal()))
    assert not (tmp_path / "run").exists()


def raised(cause):
    def act(*_):
        raise cause

    return act


@pytest.mark.parametrize("when", ["optimiser", "first update"])
def test_any_error_before_the_first_checkpoint_frees_the_folder(
    start, points, tmp_path, monkeypatch, when
):
    train = attrs.evolve(points.PLAIN.train, loggers=(JsonLines(), TensorBoard()))
    recipe = attrs.evolve(points.PLAIN, train=train)
    with monkeypatch.context() as patch:
        error = ValueError("Nesterov momentum requires a momentum")
        if when == "optimiser":
            patch.setattr(SGD, "build", raised(error))
        else:
            at_update(patch, 0, raised(error))
        with pytest.raises(ValueError, match="Nesterov"):
            start(recipe)
    assert not (tmp_path / "run").exists()
    assert start(recipe).metrics


def test_an_error_after_the_first_checkpoint_keeps_the_run(start, points, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        at_update(patch, 5, raised(ValueError("no")))
        with pytest.raises(ValueError, match="no"):
            start()
    status = RunFolder(tmp_path / "run").status()
    assert (status.state, status.step, status.reason) == (State.FAILED, 4, "ValueError: no")
    assert resume(tmp_path / "run", catalog=points.catalog(), quiet=True).metrics


def test_a_first_loss_that_is_not_finite_keeps_the_folder_with_the_reason(start, points, tmp_path):
    train = attrs.evolve(points.PLAIN.train, batch=50)  # every sample is in the first update
    with pytest.raises(NotFiniteError):
        start(attrs.evolve(points.PLAIN, data=points.Points(broken=3), train=train))
    status = RunFolder(tmp_path / "run").status()
    assert (status.state, status.step) == (State.FAILED, 0)
    assert "point3" in status.reason


def test_a_disk_that_is_full_before_the_first_checkpoint_can_be_resumed(
    start, points, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        at_update(patch, 0, raised(RunError("full; resume the run")))
        with pytest.raises(RunError, match="full"):
            start()
    assert resume(tmp_path / "run", catalog=points.catalog(), quiet=True).metrics


def test_a_loss_that_is_not_finite_keeps_the_last_checkpoint(start, points, tmp_path):
    train = attrs.evolve(points.PLAIN.train, checkpoint_every=1, batch=5)
    recipe = attrs.evolve(points.PLAIN, data=points.Points(broken=3), train=train)
    with pytest.raises(NotFiniteError) as caught:
        start(recipe)
    folder = RunFolder(tmp_path / "run")
    done = caught.value.step - 1
    assert done > 0
    assert saved_steps(folder.checkpoints)[-1] == done
    status = folder.status()
    assert (status.state, status.step, status.pid) == (State.FAILED, done, 0)
    assert "point3" in status.reason
    assert not folder.model.exists()


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_a_validation_loss_that_is_not_finite_does_not_stop_training(
    start, points, tmp_path, monkeypatch, capsys, value
):
    plain = loop.validation_metrics
    broken = {"who/loss": value}
    monkeypatch.setattr(loop, "validation_metrics", lambda *a, **k: {**plain(*a, **k), **broken})
    run = start(quiet=False)
    said = capsys.readouterr().err
    warning = f"warning: who/loss on the validation split is {value} after step 4; "
    assert warning in said
    assert said.count("warning: ") == 1  # once, not after each epoch
    folder = RunFolder(run.path)
    assert folder.status().state is State.FINISHED
    events = [json.loads(line) for line in folder.log.read_text().splitlines()]
    found = [event["metrics"] for event in events if event["kind"] == "evaluation"]
    assert [metrics["who/loss"] for metrics in found] == [None] * 3
    assert all(metrics["side/loss"] > 0 for metrics in found)


def test_weights_that_are_not_finite_are_never_saved(start, points, tmp_path, monkeypatch):
    def spoil():
        monkeypatch.setattr(Updater, "_agree", lambda *_: False)  # the loss looked fine

    at_update(monkeypatch, 4, spoil)
    train = attrs.evolve(points.PLAIN.train, checkpoint_every=1)
    steep = attrs.evolve(points.PLAIN.optimizer, lr=1e30)
    at = attrs.evolve(points.PLAIN, train=train, optimizer=steep)
    with pytest.raises(NotFiniteError):
        start(at)
    saved = saved_steps((tmp_path / "run") / "checkpoints")
    found = [checkpoint.newest_checkpoint(tmp_path / "run" / "checkpoints")] if saved else []
    assert all(v.isfinite().all() for c in found for v in c.model.values())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_a_checkpoint_and_says_how_to_go_on(
    start, points, tmp_path, monkeypatch, number
):
    whole = start(points.LEARNED, out="whole")
    with monkeypatch.context() as patch:
        at_update(patch, 4, lambda: os.kill(os.getpid(), number))
        with pytest.raises(InterruptedRunError, match="after step 5 of 12") as caught:
            start(points.LEARNED)
    path = tmp_path / "run"
    assert f"`mtlkit resume {path}`" in str(caught.value)
    assert saved_steps(path / "checkpoints")[-1] == 5
    status = RunFolder(path).status()
    assert (status.state, status.step, status.steps) == (State.INTERRUPTED, 5, 12)
    run = resume(path, catalog=points.catalog(), quiet=True)
    assert run.model.read_bytes() == whole.model.read_bytes()
    assert RunFolder(path).log.read_bytes() == RunFolder(whole.path).log.read_bytes()


def test_a_second_ctrl_c_stops_at_once(start, points, tmp_path, monkeypatch):
    def twice():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    at_update(monkeypatch, 5, twice)
    with pytest.raises(InterruptedRunError, match="stopped at once; continue with"):
        start()
    assert saved_steps(tmp_path / "run" / "checkpoints") == [4]


def test_ctrl_c_before_training_can_be_resumed_too(start, points, tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(points.Points, "load", stop)
        with pytest.raises(InterruptedRunError, match="continue with"):
            start()
    assert resume(tmp_path / "run", catalog=points.catalog(), quiet=True).metrics


def test_handlers_are_given_back(start):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    start()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_training_in_a_thread_needs_no_signals(start):
    found = []
    thread = threading.Thread(target=lambda: found.append(start()))
    thread.start()
    thread.join()
    assert found[0].metrics


def test_a_full_disk_keeps_the_last_checkpoint(start, points, tmp_path, monkeypatch):
    plain = atomic_files._sync_file

    def full(path):
        if "step-00000006" in str(path) and path.name.startswith("optimizer"):
            raise OSError(28, "No space left on device")
        plain(path)

    train = attrs.evolve(points.PLAIN.train, checkpoint_every=3)
    recipe = attrs.evolve(points.PLAIN, train=train)
    with monkeypatch.context() as patch:
        patch.setattr(atomic_files, "_sync_file", full)
        with pytest.raises(RunError, match="step-00000006: could not be written: the disk is full"):
            start(recipe)
    folder = RunFolder(tmp_path / "run")
    assert saved_steps(folder.checkpoints) == [3]
    assert not list(folder.path.rglob(".partial-*"))
    assert folder.status().state is State.FAILED
    whole = start(recipe, out="whole")
    run = resume(folder.path, catalog=points.catalog(), quiet=True)
    assert run.model.read_bytes() == whole.model.read_bytes()


def test_a_finished_run_may_be_resumed_to_no_effect(start, points):
    run = start()
    before = run.model.read_bytes(), RunFolder(run.path).log.read_bytes()
    again = resume(run.path, catalog=points.catalog(), quiet=True)
    assert (again.model.read_bytes(), RunFolder(again.path).log.read_bytes()) == before


def test_what_is_no_run_cannot_be_resumed(points, tmp_path):
    with pytest.raises(RunError, match=r"holds no run: there is no recipe\.yaml in it"):
        resume(tmp_path, catalog=points.catalog(), quiet=True)


def test_other_data_is_refused_on_resume(start, points, tmp_path, monkeypatch):
    at_update(monkeypatch, 4, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(InterruptedRunError):
        start()
    plain = points.Points.load

    def other(self, loading):
        return attrs.evolve(plain(self, loading), std=2.0)

    monkeypatch.setattr(points.Points, "load", other)
    with pytest.raises(DataError, match="the data is no longer what the run began with"):
        resume(tmp_path / "run", catalog=points.catalog(), quiet=True)


def test_two_processes_cannot_work_on_one_run(start, points):
    run = start()
    run.model.unlink()  # a whole run would be returned unchanged
    with RunFolder(run.path).locked(), pytest.raises(RunError, match="another process"):
        resume(run.path, catalog=points.catalog(), quiet=True)


def test_the_second_of_two_calls_that_begin_at_once_names_the_first(start, monkeypatch):
    """Both found the folder empty, and the first began the run before the second looked again."""
    with ExitStack() as first:

        def refuse(folder):
            monkeypatch.setattr(fit_module, "refuse_taken", refuse_taken)
            folder.path.mkdir()
            first.enter_context(folder.locked())
            folder.recipe.write_text("")
            refuse_taken(folder)

        monkeypatch.setattr(fit_module, "refuse_taken", refuse)
        with pytest.raises(RunError, match=r"run: another process is working on this run; wait"):
            start(or_resume=True)


def test_a_missing_extra_is_named_before_training(start, points, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    train = attrs.evolve(points.PLAIN.train, loggers=(JsonLines(), TensorBoard()))
    with pytest.raises(MissingExtraError, match=r"pip install 'mtlkit\[tensorboard\]'"):
        start(attrs.evolve(points.PLAIN, train=train))


def test_compile_takes_the_backbone_by_what_is_called_of_it(start, points, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: compiled.append(self))
    train = attrs.evolve(points.PLAIN.train, compile=True)
    start(attrs.evolve(points.PLAIN, train=train))
    start(attrs.evolve(points.LEARNED, train=train), out="parts")
    assert [type(module).__name__ for module in compiled] == [
        "MLPBackbone",
        "Sequential",
        "LastBlock",
    ]


def test_a_large_weight_and_a_constant_gate_are_said_once(start, points, capsys):
    large = attrs.evolve(points.PLAIN, weighting=Fixed(weights={"age": 0.5, "side": 250.0}))
    train = attrs.evolve(points.PLAIN.train, epochs=1, log_every=1)
    start(attrs.evolve(large, train=train, optimizer=SGD(lr=1e-6)), quiet=False, report=False)
    (said,) = [line for line in capsys.readouterr().err.splitlines() if "mean weight" in line]
    assert "warning: step 1: the mean weight of side is 250, expected -100 to 100" in said
    two = {name: points.TASKS[name] for name in ("who", "side")}
    gated = attrs.evolve(points.PLAIN, tasks=two, weighting=Dynamic(), train=train)
    start(gated, out="gated", quiet=False, report=False)
    said = capsys.readouterr().err
    assert said.count("note: weighting: Dynamic divides `total` among the side tasks") == 1
    assert "mean weight" not in said


def test_a_component_that_ends_the_process_is_an_error(start, points, tmp_path, monkeypatch):
    monkeypatch.setattr(points.Points, "load", lambda *_: sys.exit(0))
    with pytest.raises(RunError, match="a component ended the process: SystemExit: 0; raise an"):
        start()
    assert RunFolder(tmp_path / "run").status().state is State.FAILED


def test_more_threads_than_cores_are_refused(start, points, tmp_path):
    recipe = attrs.evolve(points.PLAIN, train=attrs.evolve(points.PLAIN.train, threads=100_000))
    expected = r"train\.threads: got 100000, expected at most \d+, the number of CPU cores"
    with pytest.raises(RunError, match=expected):
        start(recipe)
    assert not (tmp_path / "run").exists()
