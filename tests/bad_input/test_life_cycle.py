"""A run from its first file to its last: no crash point, signal or reader leaves it stuck."""

import errno
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from mtlkit import load_recipe
from mtlkit.atomic_files import TEMPORARY
from mtlkit.errors import InterruptedRunError, RunError
from mtlkit.runs import execution
from mtlkit.runs import fit as run_fit
from mtlkit.runs.fit import fit, resume
from mtlkit.runs.progress_display import shown
from mtlkit.runs.storage.folder import RunFolder, State, Status
from mtlkit.training import loop, validation
from mtlkit.training.devices import cores
from mtlkit.training.saved_steps import saved_steps
from mtlkit.training.update import Updater

TRAIN = ("train", "good.yaml", "--quiet", "--out", "run")
RESULTS = ("log.jsonl", "model.safetensors", "assembly.json", "recipe.yaml")


def results(run):
    return {name: (run / name).read_bytes() for name in RESULTS}


def at_update(patch, number, act):
    """Call `act` when the update `number` (from 0) begins."""
    plain = Updater.update

    def update(self, step, request):
        if step == number:
            act()
        return plain(self, step, request)

    patch.setattr(Updater, "update", update)


class TestBegun:
    """What a run that was killed between its first files leaves, the next one replaces."""

    @pytest.mark.parametrize(
        "names",
        [[], [".lock"], ["provenance.json"], ["provenance.json", f"{TEMPORARY}recipe.yaml"]],
    )
    def test_train_begins_anew(self, names, home, call, whole):
        (home / "run").mkdir()
        for name in names:
            (home / "run" / name).write_text("{}")
        assert call(*TRAIN)[0] == 0
        assert results(home / "run") == results(whole)

    def test_a_run_without_a_status_can_be_resumed_and_is_listed(self, home, call, whole):
        (home / "runs").mkdir()
        shutil.copytree(whole, home / "runs" / "run")
        folder = RunFolder(home / "runs" / "run")
        for path in (folder.status_file, folder.log, folder.speed, folder.model):
            path.unlink()
        shutil.rmtree(folder.checkpoints)
        assert " killed " in call("runs")[1]
        assert call("resume", "runs/run", "--quiet")[0] == 0
        assert results(folder.path) == results(whole)

    def test_an_interrupted_removal_leaves_a_run_or_nothing(self, home, call, whole, monkeypatch):
        """However many files a removal has deleted: `train` or `resume` works afterwards."""
        names = [path.name for path in whole.iterdir() if path.is_file()]
        for count in range(len(names)):
            shutil.rmtree(home / "run", ignore_errors=True)
            shutil.copytree(whole, home / "run")
            with monkeypatch.context() as patch:
                left = [count]
                plain = type(home).unlink

                def unlink(path, missing_ok=False, left=left, plain=plain):
                    if not left[0]:
                        raise OSError(errno.EIO, "killed")
                    left[0] -= 1
                    plain(path, missing_ok=missing_ok)

                patch.setattr(type(home), "unlink", unlink)
                RunFolder(home / "run").discard()
            begun = (home / "run" / "recipe.yaml").exists()
            assert not begun or (home / "run" / "provenance.json").exists()
            (home / "run" / "model.safetensors").unlink()  # discarded runs have none
            for other in ("evaluation.json", "report.html"):
                (home / "run" / other).unlink()
            if not begun:
                run_fit.refuse_taken(RunFolder(home / "run"))


class TestFinished:
    @pytest.mark.parametrize("spoil", ["nothing", "data", "checkpoints"])
    def test_resume_changes_nothing_and_says_so(self, spoil, home, call, whole, contents):
        shutil.copytree(whole, home / "run")
        if spoil == "data":
            (home / "labels.csv").unlink()
        elif spoil == "checkpoints":
            shutil.rmtree(home / "run" / "checkpoints")
        before = contents(home / "run")
        code, out, err = call("resume", "run", "--beside", "run")
        assert (code, err) == (0, "run: is finished; nothing was changed\n")
        assert "report: run/report.html" in out
        assert contents(home / "run") == before
        assert call("resume", "run", "--quiet")[2] == ""

    def test_a_finished_run_whose_model_is_gone_is_completed(self, home, call, whole):
        shutil.copytree(whole, home / "run")
        (home / "run" / "model.safetensors").unlink()
        assert call("resume", "run", "--quiet")[0] == 0
        assert results(home / "run") == results(whole)


class TestOrResume:
    def test_the_same_command_begins_resumes_and_reports(
        self, home, call, whole, contents, monkeypatch
    ):
        for number, updates in ((1, 2), (3, 4)):
            with monkeypatch.context() as patch:
                at_update(patch, number, lambda: os.kill(os.getpid(), signal.SIGTERM))
                code, _, err = call(*TRAIN, "--or-resume")
            assert code == 75
            assert f"stopped after step {updates} of 6" in err
        assert call(*TRAIN, "--or-resume")[0] == 0
        assert results(home / "run") == results(whole)
        before = contents(home / "run")
        code, out, err = call(*TRAIN[:2], *TRAIN[3:], "--or-resume")
        assert (code, err) == (0, "run: is finished; nothing was changed\n")
        assert "model:  run/model.safetensors" in out
        assert contents(home / "run") == before

    def test_in_python(self, home, catalog, whole, monkeypatch):
        recipe = load_recipe(home / "good.yaml", catalog)
        with monkeypatch.context() as patch:
            at_update(patch, 2, lambda: os.kill(os.getpid(), signal.SIGUSR1))
            with pytest.raises(InterruptedRunError):
                fit(recipe, "run", catalog=catalog, quiet=True, or_resume=True)
        run = fit(recipe, "run", catalog=catalog, quiet=True, or_resume=True)
        assert results(run.path) == results(whole)

    def test_a_run_of_another_recipe_is_refused(self, home, whole, refused):
        shutil.copytree(whole, home / "run")
        assert (
            "run: holds the run of another recipe: got `epochs: 5`, expected `epochs: 3`; choose "
            "another folder, or undo the change"
        ) in refused(*TRAIN, "--or-resume", "--set", "train.epochs=5")

    def test_a_machine_with_fewer_cores_continues_a_run(self, home, catalog, monkeypatch):
        recipe = load_recipe(home / "good.yaml", catalog, ["train.threads=2"])
        with monkeypatch.context() as patch:
            at_update(patch, 2, lambda: os.kill(os.getpid(), signal.SIGUSR1))
            patch.setattr(cores, "available_cores", lambda: 2)
            with pytest.raises(InterruptedRunError):
                fit(recipe, "run", catalog=catalog, quiet=True, or_resume=True)
        monkeypatch.setattr(cores, "available_cores", lambda: 1)
        with pytest.raises(RunError, match=r"train\.threads: got 2, expected at most 1"):
            fit(recipe, "other", catalog=catalog, quiet=True, or_resume=True)
        for _ in range(2):  # the second time it is finished
            assert fit(recipe, "run", catalog=catalog, quiet=True, or_resume=True).metrics

    def test_a_folder_without_a_run_is_still_refused(self, home, refused):
        (home / "run").mkdir()
        (home / "run" / "notes.txt").write_text("mine")
        assert "run: is not empty" in refused(*TRAIN, "--or-resume")

    def test_a_pipe_is_no_recipe_of_a_run(self, home, refused):
        (home / "run").mkdir()
        os.mkfifo(home / "run" / "recipe.yaml")  # reading it would wait for ever
        assert "run: holds another run" in refused(*TRAIN, "--or-resume")


class TestListed:
    def test_a_run_at_work_then_killed(self, home, call, whole):
        shutil.copytree(whole, home / "runs" / "run")
        folder = RunFolder(home / "runs" / "run")
        folder.write_status(Status.running(step=2, steps=9))
        with folder.locked():
            row = call("runs")[1].splitlines()[1]
        name = f"running (pid {os.getpid()} on {socket.gethostname()})"
        assert re.split(r" {2,}", row)[2:4] == [name, "6 of 9"]  # the last checkpoint counts
        assert "  killed  6 of 9  " in call("runs")[1]


class TestSignals:
    @pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "SIGHUP"])
    @pytest.mark.parametrize("command", [TRAIN, ("resume", "run")])
    def test_before_the_run_begins(self, name, command, home, call, whole, monkeypatch):
        shutil.copytree(whole, home / "run")

        def stop(*_, **__):
            os.kill(os.getpid(), getattr(signal, name))
            time.sleep(10)  # the signal may be handled a moment later, and ends this

        monkeypatch.setattr("mtlkit.runs.fit.open_run", stop)
        monkeypatch.setattr("mtlkit.recipe_io.load_recipe", stop)
        code, _, err = call(*command)
        assert code == 75
        assert "stopped at once; repeat the command, or resume the run" in err

    @pytest.mark.parametrize("name", ["SIGHUP", "SIGUSR1", "SIGXCPU"])
    def test_each_saves_a_checkpoint(self, name, home, call, whole, monkeypatch):
        number = getattr(signal, name)
        with monkeypatch.context() as patch:
            at_update(patch, 2, lambda: os.kill(os.getpid(), number))
            code, _, err = call(*TRAIN)
        assert code == 75
        assert "stopped after step 3 of 6" in err
        assert call("resume", "run", "--quiet")[0] == 0
        assert results(home / "run") == results(whole)

    def test_a_repeated_limit_of_cpu_time_does_not_abort(self, home, call, monkeypatch):
        with monkeypatch.context() as patch:
            at_update(patch, 2, lambda: [os.kill(os.getpid(), signal.SIGXCPU) for _ in range(3)])
            assert "stopped after step 3 of 6" in call(*TRAIN)[2]

    @pytest.mark.parametrize(
        ("name", "part"),
        [
            ("SIGTERM", "load_on_ranks"),
            ("SIGHUP", "assemble"),
            ("SIGTERM", "save_model"),
            ("SIGUSR1", "evaluate_trained"),
        ],
    )
    def test_outside_the_updates(self, name, part, home, call, whole, monkeypatch):
        with monkeypatch.context() as patch:

            def stop(*_, **__):
                os.kill(os.getpid(), getattr(signal, name))
                time.sleep(10)  # the signal may be handled a moment later, and ends this

            patch.setattr(execution, part, stop)
            assert call(*TRAIN)[0] == 75
        assert RunFolder(home / "run").status().state is State.INTERRUPTED
        assert call("resume", "run", "--quiet")[0] == 0
        assert results(home / "run") == results(whole)

    @pytest.mark.parametrize(("number", "step"), [(0, 2), (1, 3), (2, 4)])
    def test_in_a_validation_it_saves_a_checkpoint(self, number, step, home, call, monkeypatch):
        """The validation takes place at the resume, with the same effects on callbacks.

        In the last of its batches it is completed, and the run stops after the next update.
        """
        metrics = loop.validation_metrics
        monkeypatch.setattr(
            loop,
            "validation_metrics",
            lambda *args, **given: metrics(*args, **{**given, "batch": 2}),
        )
        data = ("--set", "callbacks=[{type: early-stopping, metric: who/loss}, best-weights]",
                "--set", "train.checkpoint_every=100")  # fmt: skip
        assert call(*TRAIN[:-1], "straight", *data)[0] == 0
        plain, calls = validation.predict_batch, []

        def predict(*arguments, **options):
            calls.append(len(calls))
            if calls[-1] == number:
                os.kill(os.getpid(), signal.SIGUSR1)
            return plain(*arguments, **options)

        with monkeypatch.context() as patch:
            patch.setattr(validation, "predict_batch", predict)
            code, _, err = call(*TRAIN, *data)
        assert code == 75
        assert f"stopped after step {step} of 6" in err
        assert saved_steps(home / "run" / "checkpoints") == [step]
        assert call("resume", "run", "--quiet")[0] == 0
        assert results(home / "run") == results(home / "straight")

    def test_in_a_validation_other_weights_are_not_rounded_twice(self, home, call, monkeypatch):
        """The validation swaps the weights of this optimizer, which rounds them."""
        pytest.importorskip("schedulefree")
        data = ("--set", "optimizer=schedule-free", "--set", "train.checkpoint_every=100")
        assert call(*TRAIN[:-1], "straight", *data)[0] == 0
        plain, calls = loop.validation_metrics, []

        def metrics(*arguments, **options):
            calls.append(len(calls))
            if len(calls) < 3:
                os.kill(os.getpid(), signal.SIGUSR1)
            return plain(*arguments, **options)

        monkeypatch.setattr(loop, "validation_metrics", metrics)
        assert call(*TRAIN, *data)[0] == 75
        assert call("resume", "run", "--quiet")[0] == 75
        assert call("resume", "run", "--quiet")[0] == 0
        assert results(home / "run") == results(home / "straight")

    def test_an_ignored_hangup_stays_ignored(self, home, call, monkeypatch):
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            at_update(monkeypatch, 2, lambda: os.kill(os.getpid(), signal.SIGHUP))
            assert call(*TRAIN)[0] == 0
        finally:
            signal.signal(signal.SIGHUP, before)


class TestOutput:
    def test_a_reader_that_is_gone_does_not_end_training(self, home, catalog, monkeypatch):
        reader, writer = os.pipe()
        os.close(reader)
        recipe = load_recipe(home / "good.yaml", catalog)
        with suppress(BrokenPipeError), os.fdopen(writer, "w") as stderr:
            monkeypatch.setattr(sys, "stderr", stderr)
            run = fit(recipe, home / "run")
            assert RunFolder(run.path).status().state is State.FINISHED
            with pytest.raises(BrokenPipeError):
                stderr.flush()
        assert run.metrics

    def test_nor_does_a_full_disk(self):
        if not os.path.exists("/dev/full"):
            pytest.skip("the system has no /dev/full")
        full = open("/dev/full", "w", buffering=1)  # noqa: SIM115 - closing it raises
        with pytest.raises(OSError, match="No space left"):
            full.write("a line\n")
        display = shown(quiet=False, to=full)
        for _ in range(3):
            display.write("a line")
        display.close()
        with suppress(OSError):
            full.close()
            with pytest.raises(OSError, match="No space"):
                full.write("the stream itself still fails\n")

    def test_output_that_cannot_be_printed_is_an_error_or_nothing(self):
        """To a full disk an error, to a reader that is gone silence; no traceback at exit."""
        command = [sys.executable, "-m", "mtlkit", "list", "heads"]
        with open("/dev/full", "w") as full:
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
        assert (done.returncode, done.stderr) == (
            2,
            "mtlkit: error: the disk is full; check the path, its permissions and the disk, then "
            "repeat the command\n",
        )
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "w") as gone:
            done = subprocess.run(command, stdout=gone, stderr=subprocess.PIPE, text=True)
        assert (done.returncode, done.stderr) == (1, "")


class TestThePath:
    @pytest.mark.parametrize("act", ["remove", "move"])
    def test_a_folder_that_goes_away_stops_the_run(self, act, home, call, monkeypatch):
        def go():
            if act == "remove":
                shutil.rmtree(home / "run")
            else:
                (home / "run").rename(home / "moved")

        at_update(monkeypatch, 2, go)
        code, _, err = call(*TRAIN)
        assert code == 2
        assert err == (
            "mtlkit: error: run: the folder was removed or moved while the run was working in it; "
            "put it back, then resume the run\n"
        )
        assert not (home / "run").exists()
        if act == "move":
            (home / "moved").rename(home / "run")
            monkeypatch.undo()
            monkeypatch.chdir(home)
            monkeypatch.setenv("MTLKIT_PLUGINS", "none")
            assert call("resume", "run", "--quiet")[0] == 0

    @pytest.mark.parametrize("command", ["train", "tune"])
    @pytest.mark.parametrize(
        ("out", "words"),
        [
            ("caf\udce9", r"caf\xe9: got a path with bytes that are not UTF-8; choose another"),
            ("n" * 256, "could not be created: File name too long; choose another folder"),
            ("/proc/x", "/proc/x: could not be created: "),
        ],
        ids=["bytes", "long", "proc"],
    )
    def test_a_path_that_cannot_be_used_is_refused_before_training(
        self, command, out, words, home, refused
    ):
        assert words in refused(command, "good.yaml", "--quiet", "--out", out)

    def test_a_working_directory_whose_name_is_not_text(self, home, call, monkeypatch, tmp_path):
        odd = tmp_path / "caf\udce9"
        home.rename(odd)
        monkeypatch.chdir(odd)
        assert call(*TRAIN)[0] == 0
        assert call("evaluate", "run")[0] == 0


class TestNamesThatAreNotUTF8:
    """Their bytes come from the file system; no file of a run can hold them."""

    @pytest.mark.parametrize("suffix", [".onnx", ".pt2", ".safetensors"])
    def test_an_export_is_refused(self, suffix, whole, refused):
        words = rf"out\xe9{suffix}: got a path with bytes that are not UTF-8; choose another"
        assert words in refused("export", whole, "--out", f"out\udce9{suffix}")

    def test_a_run_that_was_moved_there_is_refused(self, home, whole, call, refused):
        shutil.copytree(whole, home / "run\udce9")
        for command in (("evaluate",), ("report",), ("resume",), ("export", "--out", "a.pt2")):
            words = (
                r"run\xe9: got a path with bytes that are not UTF-8; choose another, or rename it"
            )
            assert words in refused(command[0], "run\udce9", *command[1:])
        code, out, _ = call("runs", ".")
        assert code == 0
        assert "run\\udce9" in out


def test_a_component_that_ends_the_program_has_failed(home, call, monkeypatch):
    at_update(monkeypatch, 3, lambda: sys.exit(0))
    code, _, err = call(*TRAIN)
    assert code == 2
    assert "run: a component ended the process: SystemExit: 0; raise an exception in it" in err
    assert RunFolder(home / "run").status().state is State.FAILED


def test_another_hidden_size_in_the_recipe_is_refused_by_name(home, whole, catalog):
    shutil.copytree(whole, home / "run")
    folder = RunFolder(home / "run")
    folder.model.unlink()
    text = folder.recipe.read_text()
    folder.recipe.write_text(text.replace("[4]", "[5]"))
    assert folder.recipe.read_text() != text
    with pytest.raises(RunError, match="recipe"):
        resume(folder.path, catalog=catalog, quiet=True)
