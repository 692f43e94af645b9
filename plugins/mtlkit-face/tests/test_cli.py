"""`mtlkit face`: rendering into a folder, and the shipped recipes, through the command line."""

import csv
import os

import attrs
import pytest
from mtlkit_face.cli import RECIPES
from mtlkit_synthetic_faces import png_folder
from mtlkit_synthetic_faces.face_set import FaceSet
from PIL import Image

from mtlkit.cli import main

SMALL = ("--subjects", "2", "--images-per-subject", "3", "--size", "32", "--sessions", "1",
         "--lights", "2", "--expressions", "1", "--lights-per-geometry", "2")  # fmt: skip


@pytest.fixture
def face(capsys):
    """Calls ``mtlkit face``: gives the exit code, and all that was said."""

    def call(*arguments: object) -> tuple[int, str]:
        with pytest.raises(SystemExit) as caught:
            main(["face", *map(str, arguments)])
        said = capsys.readouterr()
        return caught.value.code, said.out + said.err

    return call


def test_render_writes_images_a_table_and_a_sheet(face, tmp_path):
    code, said = face("render", "--out", tmp_path / "faces", "--workers", 1, *SMALL)
    assert code == 0, said
    with (tmp_path / "faces/labels.csv").open(encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    assert len(rows) == 6
    assert {row["subject"] for row in rows} == {"0", "1"}
    for row in rows:
        with Image.open(tmp_path / "faces" / row["file"]) as image:
            assert image.size == (32, 32)
    assert (tmp_path / "faces/sheet.png").is_file()
    assert "6 faces" in said


def test_render_refuses_a_folder_with_something_in_it(face, tmp_path):
    (tmp_path / "precious.txt").write_text("mine", encoding="utf-8")
    code, said = face("render", "--out", tmp_path, *SMALL)
    assert code == 2
    assert "choose a new or empty folder" in said
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]


def test_render_tells_which_file_found_the_disk_full(face, tmp_path, monkeypatch):
    def full(rows, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(png_folder, "_write_labels", full)
    code, said = face("render", "--out", tmp_path / "faces", "--workers", 1, *SMALL)
    assert code == 2
    said = " ".join(said.split())
    assert "labels.csv: cannot be written: No space left on device." in said
    assert "choose another folder with --out" in said
    assert list(tmp_path.iterdir()) == []


def test_render_names_a_wrong_option(face, tmp_path):
    code, said = face("render", "--out", tmp_path / "faces", "--size", 7)
    assert code == 2
    assert "size: expected a whole number from 32 to 112, got 7" in said
    assert not (tmp_path / "faces").exists()


def test_render_has_an_option_for_every_value_of_a_face_set(face):
    _, shown = face("render", "--help")
    missing = [field.name for field in attrs.fields(FaceSet)
               if "--" + field.name.replace("_", "-") not in shown]  # fmt: skip
    assert missing == []


def test_copied_recipes_are_synced(face, tmp_path, monkeypatch):
    synced, plain = [], os.fsync
    monkeypatch.setattr("os.fsync", lambda handle: (synced.append(handle), plain(handle)))
    assert face("recipes", "--out", tmp_path / "mine")[0] == 0
    assert len(synced) == 2 * len(list(RECIPES.glob("*.yaml")))  # each file and its folder


def test_recipes_are_listed_and_copied_once(face, tmp_path):
    names = sorted(path.name for path in RECIPES.glob("*.yaml"))
    listed = face("recipes")[1].split()
    assert [line.rpartition("/")[2] for line in listed] == names
    assert face("recipes", "--out", tmp_path / "mine")[0] == 0
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == names
    (tmp_path / "mine" / names[0]).unlink()  # as after a kill: the same call completes the copies
    assert face("recipes", "--out", tmp_path / "mine")[0] == 0
    edited = tmp_path / "mine" / names[-1]
    edited.write_text("seed: 1\n")
    code, said = face("recipes", "--out", tmp_path / "mine")
    assert code == 2
    assert f"{edited}: already exists" in said
    assert edited.read_text() == "seed: 1\n"


@pytest.mark.parametrize("command", ["render", "recipes"])
def test_commands_explain_themselves(face, command):
    assert face(command, "--help")[0] == 0
