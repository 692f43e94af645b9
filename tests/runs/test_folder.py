"""The folder of a run: its files, its status and its lock."""

import json
import os
from functools import partial

import pytest

from mtlkit.errors import RunError
from mtlkit.runs.prediction.saved_model import read_assembly, read_stored
from mtlkit.runs.storage.folder import (
    RunFolder,
    State,
    Status,
    open_run,
    read_json,
    refuse_taken,
    write_json,
)


def test_every_file_lies_in_the_folder_under_a_name_of_its_own(tmp_path):
    folder = RunFolder(tmp_path)
    names = [n for n in dir(RunFolder) if isinstance(getattr(RunFolder, n), property)]
    paths = [getattr(folder, name) for name in names]
    assert len(paths) == 11
    assert len(set(paths)) == len(paths)
    assert {path.parent for path in paths} == {tmp_path}


def test_a_text_is_as_good_as_a_path(tmp_path):
    assert RunFolder(str(tmp_path)) == RunFolder(tmp_path)


@pytest.mark.parametrize("state", list(State))
def test_a_status_comes_back_as_it_was(tmp_path, state):
    status = Status(
        state=state, step=3, steps=9, reason="näh", seconds=1.25, peak_memory_bytes=7,
        untrained=("a.b",), pid=5,
    )  # fmt: skip
    folder = RunFolder(tmp_path)
    folder.write_status(status)
    assert folder.status() == status
    assert [path.name for path in tmp_path.iterdir()] == ["status.json"]


def test_json_has_no_numbers_that_are_none(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "a.json: is missing; expected a file that every run has"),
        ("{half", "a.json: cannot be used: it holds no JSON"),
        ("[1]", "a.json: cannot be used: expected a JSON object, got list"),
    ],
)
def test_a_broken_file_is_named(tmp_path, text, expected):
    if text is not None:
        (tmp_path / "a.json").write_text(text)
    with pytest.raises(RunError, match=expected):
        read_json(tmp_path / "a.json")


def test_the_lock_names_its_holder_and_dies_with_it(tmp_path):
    folder = RunFolder(tmp_path)
    folder.write_status(Status(state=State.RUNNING, pid=os.getpid()))
    with folder.locked():
        holder = rf"another process \({os.getpid()}\) is working on this run"
        with pytest.raises(RunError, match=holder), RunFolder(tmp_path).locked():
            pass
    with folder.locked():  # a lock that was let go, its file still there, is no lock
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
def test_a_killed_holder_leaves_no_stale_lock(tmp_path):
    import subprocess
    import sys

    code = (
        "import os, signal, sys\n"
        "from mtlkit.runs.storage.folder import RunFolder\n"
        "with RunFolder(sys.argv[1]).locked():\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)]).returncode == -9
    with RunFolder(tmp_path).locked():
        assert (tmp_path / ".lock").exists()


def test_a_new_folder_is_made_with_its_parents(tmp_path):
    refuse_taken(RunFolder(tmp_path / "a" / "b"))
    assert (tmp_path / "a" / "b").is_dir()
    refuse_taken(RunFolder(tmp_path / "a" / "b"))  # empty is as good as new


def test_what_others_have_put_into_a_folder_is_not_discarded(tmp_path):
    folder = RunFolder(tmp_path / "run")
    refuse_taken(folder)
    folder.write_status(Status(state=State.RUNNING))
    folder.checkpoints.mkdir()
    (folder.path / "notes.txt").write_text("mine")
    folder.discard()
    assert [path.name for path in folder.path.iterdir()] == ["notes.txt"]
    (folder.path / "notes.txt").unlink()
    folder.discard()
    assert not folder.path.exists()


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="could not be created: Not a directory"):
        refuse_taken(RunFolder(tmp_path / "file" / "run"))


def test_only_a_run_can_be_opened(tmp_path):
    with pytest.raises(RunError, match="holds no run"):
        open_run(tmp_path)
    (tmp_path / "recipe.yaml").write_text(json.dumps({}))
    assert open_run(tmp_path) == RunFolder(tmp_path)


def test_a_key_that_a_file_lacks_is_named(tmp_path):
    write_json(tmp_path / "study.json", {"a": 1})
    values = read_json(tmp_path / "study.json")
    assert (values, values.get("b"), {**values}) == ({"a": 1}, None, {"a": 1})
    words = r"study.json: got other values than this version of mtlkit writes \(.*no key 'b'\)"
    with pytest.raises(RunError, match=words):
        values["b"]


@pytest.mark.parametrize("key", ["inputs", "targets", "data", "preprocessing"])
def test_an_assembly_without_a_key_names_the_key_and_the_way_out(tmp_path, key):
    folder = RunFolder(tmp_path)
    values = {"inputs": {}, "targets": {}, "data": {}, "preprocessing": {}}
    write_json(folder.assembly, {name: value for name, value in values.items() if name != key})
    for read in (read_stored, partial(read_assembly, catalog=None)):
        with pytest.raises(RunError, match=f"assembly.json: got no key '{key}'.*train the run"):
            read(folder)
