"""Files and folders are there whole or not at all."""

import errno
import os
from pathlib import Path

import pytest

from mtlkit import atomic_files
from mtlkit.atomic_files import replaced_folder, write_file, write_folder
from mtlkit.errors import RunError


def test_a_file_replaces_the_one_before(tmp_path):
    path = tmp_path / "a.json"
    write_file(path, b"one")
    write_file(path, b"two")
    assert path.read_bytes() == b"two"
    assert [item.name for item in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_replaces_the_one_before(tmp_path):
    path = tmp_path / "step"
    write_folder(path, {"a": b"1", "b": b"2"})
    write_folder(path, {"a": b"3"})
    assert {item.name: item.read_bytes() for item in path.iterdir()} == {"a": b"3"}
    assert [item.name for item in tmp_path.iterdir()] == ["step"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG, errno.EDQUOT])
@pytest.mark.parametrize("write", ["file", "folder"])
def test_a_full_disk_leaves_what_was_there_and_nothing_else(tmp_path, monkeypatch, number, write):
    path = tmp_path / "kept"
    put = (lambda b: write_file(path, b)) if write == "file" else (
        lambda b: write_folder(path, {"a": b, "b": b})
    )  # fmt: skip
    put(b"old")

    def full(_handle):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(atomic_files.os, "fsync", full)
    with pytest.raises(RunError, match="kept: could not be written: the disk is full") as caught:
        put(b"new")
    assert caught.value.__cause__.errno == number
    found = path if write == "file" else path / "b"
    assert found.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["kept"]


def test_an_interrupted_folder_leaves_the_one_before(tmp_path):
    path = tmp_path / "out"
    write_folder(path, {"a": b"old"})
    (tmp_path / ".partial-out").mkdir()  # of a killed process
    (tmp_path / ".partial-out" / "b").write_bytes(b"torn")

    def interrupted():
        with replaced_folder(path) as partial:
            (partial / "a").write_bytes(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert {item.name: item.read_bytes() for item in path.iterdir()} == {"a": b"old"}
    with replaced_folder(path) as partial:
        (partial / "inner").mkdir()
        (partial / "inner" / "a").write_bytes(b"new")
    assert [item.name for item in path.iterdir()] == ["inner"]
    assert [item.name for item in tmp_path.iterdir()] == ["out"]


def test_the_current_folder_is_replaced(tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    with replaced_folder(Path()) as partial:
        (partial / "a").write_bytes(b"1")
    assert (tmp_path / "out" / "a").read_bytes() == b"1"


def test_other_failures_say_why(tmp_path):
    with pytest.raises(RunError, match="could not be written: No such file or directory"):
        write_file(tmp_path / "missing" / "a", b"")


def test_a_device_without_space_is_a_full_disk(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("the system has no /dev/full")
    (tmp_path / ".partial-a").symlink_to("/dev/full")
    with pytest.raises(RunError, match="the disk is full"):
        write_file(tmp_path / "a", b"content")
    assert not list(tmp_path.iterdir())
