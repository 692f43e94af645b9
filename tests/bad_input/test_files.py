"""Missing files, unreadable images and labels that do not fit: told by name, nothing lost."""

import os
import re

import numpy as np
import pytest
from PIL import Image


@pytest.mark.parametrize("command", ["train", "explain"])
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.unlink(), "no such file"),
        (lambda path: (path.unlink(), path.mkdir()), "is a folder"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_bytes(b"\xff\xfe\x00"), "is not UTF-8 text"),
        (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n"), "is not UTF-8 text"),
        (lambda path: path.write_text("data: [1"), "is not one YAML document"),
        (lambda path: path.write_text("extends: other.yaml\n"), "other.yaml"),
        (lambda path: path.write_text("extends: good.yaml\n"), "good.yaml"),
    ],
    ids=["missing", "folder", "empty", "bytes", "image", "broken", "no parent", "itself"],
)
def test_a_recipe_file(command, spoil, words, home, refused):
    spoil(home / "good.yaml")
    assert words in refused(command, "good.yaml")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("resume", "nowhere"), "nowhere: holds no run: there is no recipe.yaml in it"),
        (("evaluate", "nowhere"), "nowhere: holds no run"),
        (("report", "nowhere"), "nowhere: holds no run"),
        (("resume", "pictures"), "pictures: holds no run"),
        (("evaluate", "good.yaml"), "good.yaml: holds no run"),
        (("train", "good.yaml", "--quiet", "--beside", "nowhere"), "nowhere: holds no run"),
        (("train", "good.yaml", "--quiet", "--cache", "labels.csv"), "labels.csv' is a file"),
        (("train",), "Missing argument 'RECIPE'"),
        (("show", "nothing-of-the-kind"), "no component named 'nothing-of-the-kind'"),
        (("list", "nothing-of-the-kind"), "no family named 'nothing-of-the-kind'"),
    ],
    ids=" ".join,
)
def test_arguments_that_name_nothing(arguments, words, home, refused):
    said = refused(*arguments)
    assert words in " ".join(said.replace("│", " ").split())


def overridden(refused, *overrides):
    options = [word for override in overrides for word in ("--set", override)]
    return refused("train", "good.yaml", "--quiet", "--out", "run", *options)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("data.folder=void", r"data\.folder: no such folder: void \(tried .*home/void"),
        ("data.folder=labels.csv", r"data\.folder: labels\.csv is a file; expected a folder"),
        ("data.labels=void.csv", r"data\.labels: no such file: void\.csv"),
        ("data.labels=pictures", r"data\.labels: pictures is a folder; expected a file"),
        ("data.labels=good.yaml", r"expected a table that ends in \.csv"),
        ("data.labels=pictures/p00.png", r"expected a table that ends in \.csv or \.parquet"),
        ("backbone={type: timm, model: resnet10t, weights: void.pt}", r"no file '.*void\.pt'"),
        (
            "backbone={type: timm, model: resnet10t, weights: good.yaml}",
            r"is not a file of weights",
        ),
        (
            "backbone={type: timm, model: resnte10t}",
            r"no model named 'resnte10t'; did you mean 'resnet10t'\?; ",
        ),
    ],
)
def test_a_file_that_the_recipe_names(override, words, home, refused):
    said = overridden(refused, override)
    assert re.search(words, said), said
    assert len(said.splitlines()) <= 3


def cut(path):
    path.write_bytes(path.read_bytes()[:60])


def garble(path):
    content = bytearray(path.read_bytes())
    content[-50:-30] = bytes(20)
    path.write_bytes(content)


def floating(path):
    Image.fromarray(np.zeros((8, 8), np.float32)).save(path, format="tiff")


def link_to_nothing(path):
    path.unlink()
    path.symlink_to("nothing.png")


def pipe(path):
    path.unlink()
    os.mkfifo(path)  # opening it would wait for ever


def folder(path):
    path.unlink()
    path.mkdir()


SPOILS = {
    "missing": (lambda path: path.unlink(), "is missing (listed at labels.csv:7)"),
    "empty": (lambda path: path.write_bytes(b""), "is empty (0 bytes)"),
    "text": (lambda path: path.write_text("a picture"), "is not an image of a supported format"),
    "cut": (cut, "cannot be read"),
    "garbled": (garble, "cannot be read"),
    "floating": (floating, "has pixels of floating point"),
    "dangling": (link_to_nothing, "is missing"),
    "pipe": (pipe, "is missing"),
    "folder": (folder, "is missing"),
}


@pytest.mark.parametrize("how", SPOILS)
def test_an_unreadable_image_is_named_with_what_is_wrong_and_what_to_do(how, home, refused):
    spoil, words = SPOILS[how]
    spoil(home / "pictures" / "p05.png")
    said = overridden(refused)
    head, fault, advice = said.splitlines()
    assert head.endswith("pictures: 1 of 16 files cannot be used:")
    assert fault.startswith("  p05.png: ")
    assert words in fault
    assert "`skip_bad: true`" in advice


def test_many_unreadable_images_are_counted_and_some_named(home, refused):
    for path in sorted((home / "pictures").iterdir())[:13]:
        path.write_bytes(b"")
    lines = overridden(refused).splitlines()
    assert lines[0].endswith("13 of 16 files cannot be used:")
    assert lines[11] == "  and 3 more"
    assert len(lines) == 13


def test_images_left_out_on_request_are_counted_in_the_report(home, call):
    for spoil, name in ((SPOILS["cut"][0], "p05.png"), (SPOILS["missing"][0], "p06.png")):
        spoil(home / "pictures" / name)
    options = ("--set", "data.skip_bad=true", "--out", "run")
    code, _, err = call("train", "good.yaml", "--quiet", *options)
    assert (code, err) == (0, "")
    assert "2 files: p05.png, p06.png" in (home / "run" / "report.html").read_text()


def test_a_folder_without_any_image_that_can_be_read(home, refused):
    for path in (home / "pictures").iterdir():
        path.write_bytes(b"no")
    assert "no image can be used" in overridden(refused, "data.skip_bad=true")


def relabel(home, line, old, new):
    lines = (home / "labels.csv").read_text().splitlines()
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new)
    (home / "labels.csv").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("change", "overrides", "words"),
    [
        (
            (3, "left", "lft"),
            ["data.vocabulary={side: [left, right]}"],
            "labels.csv:3: side: got 'lft', which is outside the vocabulary: left, right",
        ),
        ((7, "25", "old"), [], "labels.csv:7: age: expected a number, got 'old'"),
        ((7, "25", "inf"), [], "labels.csv:7: age: expected a number, got 'inf'"),
        ((1, "side", "seite"), [], "has no label 'side'; it has: age, seite, who"),
        ((1, "file", "name"), [], "file"),
        ((3, "p01.png", "p00.png"), [], "was already listed"),
        ((3, "p01.png", ""), [], "the column 'file' is empty"),
        ((3, "p01.png", "../labels.csv"), [], "labels.csv"),
        ((3, ",21", ",21,22"), [], "labels.csv:3"),
        ((3, ",21", ""), [], "labels.csv:3"),
        (
            (1, "age", "split"),
            ["data.numeric=[]", "data.split=null", "tasks={who: {role: main}, side: {}}"],
            "split: expected train, validation or test, got '",
        ),
    ],
)
def test_labels_that_cannot_be(change, overrides, words, home, refused):
    relabel(home, *change)
    assert words in overridden(refused, *overrides)


def last_picture_is_of_eve(home, split):
    """Let the last picture be alone in a split, and show somebody whom training never sees."""
    head, *rows = (home / "labels.csv").read_text().splitlines()
    rows = [f"{row},train" for row in rows[:-1]] + [f"{rows[-1]},{split}".replace("dan", "eve")]
    (home / "labels.csv").write_text("\n".join([f"{head},split", *rows]) + "\n")


def test_a_class_that_training_does_not_know(home, refused):
    """The label is in the file, and no training picture has it: no prediction could be right."""
    last_picture_is_of_eve(home, "validation")
    said = overridden(refused, "data.split=null")
    assert "tasks.who: p15.png: the label 'who' is 'eve', which no training sample has" in said
    assert "expected one of ann, bob, cid, dan" in said


def test_an_unknown_class_in_the_test_split_is_an_error_before_training(home, call):
    """The labels of all splits are part of the fingerprint of the data."""
    last_picture_is_of_eve(home, "test")
    options = ("--quiet", "--out", "run", "--set", "data.split=null")
    code, out, err = call("train", "good.yaml", *options)
    assert (code, out) == (2, "")
    assert "p15.png: the label 'who' is 'eve'" in err
    assert not (home / "run").exists()


@pytest.mark.parametrize("classes", [1, 3, 5, 1000])
def test_a_class_count_that_disagrees_with_the_data(classes, home, refused):
    head = f"tasks.who.head={{type: classification, classes: {classes}}}"
    said = overridden(refused, head)
    assert f"tasks.who.head: the head states {classes} classes, the training data has 4" in said


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("tasks.age.head=classification", "the label 'age' is a number"),
        ("tasks.side.head=regression", "the label 'side' is a class (N,)"),
        ("tasks.more={}", "the data has no label 'more'; it has: age, side, who"),
        ("data.numeric=[agee]", "data.numeric: got 'agee', expected one of"),
        ("data.split={groups: person}", "data.split.groups: got 'person'"),
        ("data.split={validation: 0.01, test: 0}", "the validation split is empty"),
        (
            "router={type: grouped, task: who, by: side, groups: {a: [left], b: [up, right]}}",
            "got classes that the data does not have: up",
        ),
        (
            "router={type: grouped, task: who, by: who, groups: {a: [ann], b: [bob]}}",
            "got classes without a group: cid, dan",
        ),
        (
            "router={type: grouped, task: who, by: side, groups: {a: [left], b: [right]}, "
            "branch: block}",
            "can be split before its last block; use `branch: linear`",
        ),
    ],
)
def test_tasks_and_routes_that_the_data_does_not_allow(override, words, home, refused):
    assert words in overridden(refused, override)
