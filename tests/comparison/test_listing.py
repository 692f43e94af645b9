"""What is listed below a folder, also where some of it is damaged or a plugin's."""

import os
import shutil

import pytest
from filelock import FileLock

from mtlkit.atomic_files import TEMPORARY
from mtlkit.checksums import sealed
from mtlkit.comparison.results.listing import DAMAGED, list_runs
from mtlkit.runs.storage.folder import RunFolder, State, Status
from mtlkit.runs.storage.lock import LOCK, is_locked


@pytest.fixture
def copied(made, tmp_path):
    """A study that may be broken, in a folder of its own."""
    return shutil.copytree(made[0].path, tmp_path / "runs" / "broken")


DAMAGES = {
    "study.json": ["", "[]", '{"fixed": {}}', '{"fixed": {}, "methods": 3, "problems": ["p"]}'],
    "results.jsonl": ["no record\n"],
}


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, texts in DAMAGES.items() for text in texts]
)
def test_a_damaged_study_hides_no_other(copied, made, name, text):
    shutil.copytree(made[0].path, copied.parent / "whole")
    (copied / name).write_text(text)
    states = {each.path.name: (each.kind, each.state) for each in list_runs(copied.parent)}
    assert states == {"broken": ("study", "damaged"), "whole": ("study", "finished")}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("status.json", "{}"),
        ("status.json", '{"state": "lost", "untrained": []}'),
        ("evaluation.json", "[]"),
        ("evaluation.json", "{}"),
    ],
)
def test_a_damaged_run_hides_no_other(copied, name, text):
    broken = copied / "runs" / "plane" / "gls" / "trial0"
    (broken / name).write_text(text)
    found = {each.path: each for each in list_runs(copied, inside=True)}
    assert len(found) == 1 + 12
    assert found[broken].state == "damaged"
    assert sum(each.state == "damaged" for each in found.values()) == 1


def test_a_run_that_ended_before_its_data_was_loaded_shows_its_last_checkpoint(copied):
    run = copied / "runs" / "plane" / "gls" / "trial0"
    RunFolder(run).write_status(Status(state=State.FAILED))  # of a resume, without steps
    shutil.rmtree(run / "checkpoints", ignore_errors=True)
    (run / "checkpoints" / "step-00000007").mkdir(parents=True)
    found = {each.path: each for each in list_runs(copied, inside=True)}
    assert (found[run].state, found[run].progress) == ("failed", "7")


def test_a_folder_of_a_step_that_the_run_does_not_reach_is_no_checkpoint(copied):
    run = copied / "runs" / "plane" / "gls" / "trial0"
    RunFolder(run).write_status(Status(state=State.INTERRUPTED, step=3, steps=9))
    for step in (7, 99999999):
        (run / "checkpoints" / f"step-{step:08}").mkdir(parents=True)
    listed = {each.path: each for each in list_runs(copied, inside=True)}
    assert listed[run].progress == "7 of 9"


def test_a_study_of_a_plugin_is_the_runs_in_it(copied):
    (copied / "study.json").write_text(sealed({"size": "small"}))
    assert [each.kind for each in list_runs(copied)] == ["run"] * 12


def test_what_a_killed_process_left_is_not_listed(copied):
    run = copied / "runs" / "plane" / "gls" / "trial0"
    shutil.copytree(run, copied.parent / f"{TEMPORARY}merged")
    assert [each.path for each in list_runs(copied.parent)] == [copied]


def test_a_study_that_is_only_read_is_not_running(copied, monkeypatch):
    (copied / LOCK).touch()
    with FileLock(copied / LOCK):
        assert is_locked(copied)

    def refuse(*_, **__):
        raise PermissionError

    monkeypatch.setattr("mtlkit.runs.storage.lock.FileLock.acquire", refuse)
    (study,) = list_runs(copied)
    assert study.state == "finished"


DAMAGE = {
    "recipe that is not YAML": lambda run: (run / "recipe.yaml").write_text("{: ["),
    "recipe that is not text": lambda run: (run / "recipe.yaml").write_bytes(b"\xff"),
    "status of another form": lambda run: (run / "status.json").write_text('{"seconds": null}'),
    "status that is a folder": lambda run: (
        (run / "status.json").unlink(),
        (run / "status.json").mkdir(),
    ),
    "status nested too deep": lambda run: (run / "status.json").write_text("[" * 100_000),
    "evaluation of another form": lambda run: (run / "evaluation.json").write_text("[]"),
    "recipe that is a named pipe": lambda run: (
        (run / "recipe.yaml").unlink(),
        os.mkfifo(run / "recipe.yaml"),  # reading it would wait for ever
    ),
    "date beyond the calendar": lambda run: os.utime(run / "status.json", (1e12, 1e12)),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_run_with_an_unreadable_file_is_listed(kind, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for file in ("recipe.yaml", "provenance.json", "status.json"):
            (tmp_path / name / file).write_text("{}")
    DAMAGE[kind](tmp_path / "two")
    listed = list_runs(tmp_path)
    assert {run.path.name for run in listed} == {"one", "two"}
    assert all(run.state == DAMAGED for run in listed)  # neither has what a run records


def test_a_comparison_of_studies_states_the_runs_that_are_missing(copied, made):
    from mtlkit.comparison.results.differences import differences

    whole = made[0].path
    assert "unfinished" not in differences(whole, whole)
    lines = (copied / "results.jsonl").read_bytes().splitlines(keepends=True)
    (copied / "results.jsonl").write_bytes(b"".join(lines[:-1]))
    count = len(lines)
    row = ("ended", f"{count} of {count} runs", f"{count - 1} of {count} runs")
    assert differences(whole, copied)["unfinished"] == [row]
