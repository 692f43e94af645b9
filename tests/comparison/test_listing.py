"""What is listed below a folder, also where some of it is damaged or a plugin's."""

import shutil

import pytest
from filelock import FileLock

from mtlkit.checksums import sealed
from mtlkit.comparison.results.listing import list_runs
from mtlkit.runs.lock import LOCK, is_locked


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


def test_a_study_of_a_plugin_is_the_runs_in_it(copied):
    (copied / "study.json").write_text(sealed({"size": "small"}))
    assert [each.kind for each in list_runs(copied)] == ["run"] * 12


def test_a_study_that_is_only_read_is_not_running(copied, monkeypatch):
    (copied / LOCK).touch()
    with FileLock(copied / LOCK):
        assert is_locked(copied)

    def refuse(*_, **__):
        raise PermissionError

    monkeypatch.setattr("mtlkit.runs.lock.FileLock.acquire", refuse)
    (study,) = list_runs(copied)
    assert study.state == "finished"
