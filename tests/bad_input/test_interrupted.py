"""A taken folder, a full disk, Ctrl-C: nothing lost, and what the message says can be done."""

import errno
import os
import re
import shlex
import signal

import pytest

from mtlkit import atomic_files
from mtlkit.runs import execution
from mtlkit.runs.storage.folder import RunFolder, State
from mtlkit.training import checkpoint
from mtlkit.training.saved_steps import saved_steps
from mtlkit.training.update import Updater

TRAIN = ("train", "good.yaml", "--quiet", "--out", "run")
UPDATES = 6
RESULTS = ("log.jsonl", "model.safetensors", "assembly.json", "recipe.yaml")
"""What a run that was stopped and one that was not agree on, to the byte."""


def results(run):
    """The results of a run, by file."""
    return {name: (run / name).read_bytes() for name in RESULTS}


def advised(said):
    """The command between the last backticks of a message, as words."""
    return shlex.split(re.findall(r"`mtlkit ([^`]+)`", said)[-1])


def no_wreck(home):
    """Nothing that was begun and not ended lies about."""
    return not list(home.rglob(f"{atomic_files.TEMPORARY}*"))


class TestATakenFolder:
    @pytest.mark.parametrize("state", ["finished", "interrupted", "failed"])
    def test_a_run_in_any_state(self, state, home, call, contents, monkeypatch):
        with monkeypatch.context() as patch:
            if state == "interrupted":
                at_update(patch, 3, interrupt)
            elif state == "failed":
                at_update(patch, 3, fails)
            assert call(*TRAIN)[0] == {"finished": 0, "interrupted": 75, "failed": 70}[state]
        assert RunFolder(home / "run").status().state.value == state
        before = contents(home)
        code, out, err = call(*TRAIN)
        assert (code, out) == (2, "")
        assert "run: holds another run" in err
        assert advised(err) == ["resume", "run"]
        assert contents(home) == before

    @pytest.mark.parametrize(
        ("make", "words"),
        [
            (lambda path: path.write_text("mine"), "is a file; expected a new or empty folder"),
            (lambda path: (path.mkdir(), (path / ".mine").touch()), "run: is not empty"),
            (lambda path: (path.mkdir(), (path / "sub").mkdir()), "run: is not empty"),
            (lambda path: path.symlink_to("nowhere/at-all"), "run: could not be created"),
            (lambda path: path.symlink_to("pictures"), "run: is not empty"),
        ],
        ids=["file", "hidden file", "subfolder", "link to nothing", "link to a taken one"],
    )
    def test_anything_else_in_its_place(self, make, words, home, refused):
        make(home / "run")
        assert words in refused(*TRAIN)

    @pytest.mark.parametrize(
        "out", ["good.yaml", "good.yaml/run", "pictures", ".", "labels.csv/a/b"]
    )
    def test_a_place_where_no_folder_can_be(self, out, home, refused):
        refused(*TRAIN[:-1], out)

    def test_an_empty_folder_is_free(self, home, call):
        (home / "run").mkdir()
        assert call(*TRAIN)[0] == 0


def at_update(patch, number, act):
    """Call `act` when the update `number` (from 0) begins."""
    plain = Updater.update

    def update(self, step, stop_request):
        if step == number:
            act()
        return plain(self, step, stop_request)

    patch.setattr(Updater, "update", update)


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def fails():
    raise ZeroDivisionError


class TestCtrlC:
    @pytest.mark.parametrize("number", range(UPDATES))
    def test_at_any_update_it_saves_and_the_advice_gives_the_undisturbed_result(
        self, number, home, call, whole, monkeypatch
    ):
        with monkeypatch.context() as patch:
            at_update(patch, number, interrupt)
            code, out, err = call(*TRAIN)
        assert (code, out) == (75, "")
        assert f"stopped after step {number + 1} of {UPDATES}" in err
        saved = saved_steps(home / "run" / "checkpoints")
        assert saved[-1] == RunFolder(home / "run").status().step == number + 1
        assert no_wreck(home)
        assert call(*advised(err), "--quiet")[0] == 0
        assert results(home / "run") == results(whole)

    @pytest.mark.parametrize("twice", [1, 3])
    def test_pressed_twice_it_loses_no_more_than_since_the_last_checkpoint(
        self, twice, home, call, whole, monkeypatch
    ):
        with monkeypatch.context() as patch:
            at_update(patch, twice, lambda: (interrupt(), interrupt()))
            code, _, err = call(*TRAIN)
        assert code == 75
        assert "stopped at once" in err
        assert call(*advised(err), "--quiet")[0] == 0
        assert results(home / "run") == results(whole)

    @pytest.mark.parametrize(
        "part", ["load_on_ranks", "assemble", "save_model", "evaluate_trained"]
    )
    def test_outside_the_updates(self, part, home, call, whole, monkeypatch):
        def stop(*_, **__):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(execution, part, stop)
            code, _, err = call(*TRAIN)
        assert code == 75
        assert RunFolder(home / "run").status().state is State.INTERRUPTED
        assert no_wreck(home)
        assert call(*advised(err), "--quiet")[0] == 0
        assert results(home / "run") == results(whole)

    def test_a_run_may_be_stopped_again_and_again(self, home, call, whole, monkeypatch):
        command = TRAIN
        for number in range(UPDATES):
            with monkeypatch.context() as patch:
                at_update(patch, number, interrupt)
                code, _, err = call(*command)
            assert code == 75
            command = (*advised(err), "--quiet")
        assert call(*command)[0] == 0
        assert results(home / "run") == results(whole)


def goes_on(home, call):
    """Finish the run, with the command a user would take: resume a run, or train where none is."""
    begun = (home / "run" / "recipe.yaml").exists()
    return call(*(("resume", "run", "--quiet") if begun else TRAIN))


class TestAFullDisk:
    @pytest.mark.parametrize("size", [0, 100, 500, 1500, 3000])
    def test_that_takes_no_larger_files(self, size, home, call, contents, whole, files_of_at_most):
        before = contents(home)
        with files_of_at_most(size):
            code, out, err = call(*TRAIN)
        assert (code, out) == (2, "")
        assert re.search(r"mtlkit: error: run.*: could not be written: .*(full|large)", err), err
        assert no_wreck(home)
        after = contents(home)
        assert {name: after[name] for name in before} == before
        assert all(len(content) <= size for name, content in after.items()
                   if content and name not in before)  # fmt: skip
        assert goes_on(home, call)[0] == 0
        assert results(home / "run") == results(whole)

    @pytest.mark.parametrize(
        "number",
        [1, 3, 5, 8, 11, 15, 19, 24, 29, 34, 39, 42],
    )
    def test_found_at_any_time(self, number, home, call, whole, monkeypatch):
        """The disk is full from the given sync on; what is on it by then is whole."""
        plain, count = os.fsync, 0

        def fsync(handle):
            nonlocal count
            count += 1
            if count >= number:
                raise OSError(errno.ENOSPC, "No space left on device")
            plain(handle)

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fsync)
            code, out, err = call(*TRAIN)
        assert count >= number, "the run is shorter than this test thinks"
        assert (code, out) == (2, "")
        assert "could not be written: " in err
        assert "Traceback" not in err
        assert no_wreck(home)
        folder = RunFolder(home / "run")
        newest = checkpoint.newest_checkpoint(folder.checkpoints)  # raises where it is damaged
        assert newest is None or newest.step in (2, 4, 6)
        assert goes_on(home, call)[0] == 0
        assert results(home / "run") == results(whole)

    def test_a_report_that_cannot_be_written_leaves_the_one_before(
        self, home, call, files_of_at_most
    ):
        assert call(*TRAIN)[0] == 0
        before = (home / "run" / "report.html").read_bytes()
        for command in ("report", "evaluate"):
            with files_of_at_most(20_000):
                code, out, err = call(command, "run")
            assert (code, out) == (2, "")
            assert "report.html: could not be written: the disk is full" in err
            assert (home / "run" / "report.html").read_bytes() == before
            assert no_wreck(home)
