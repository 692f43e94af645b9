"""A folder of images becomes data whole, or every reason why not is told by name."""

from pathlib import Path

import attrs
import pyarrow
import pytest
import torch
from PIL import Image
from pyarrow import parquet

import mtlkit
from mtlkit.assembly import assembly_of
from mtlkit.data import Categorical, Images, Loading, RandomSplit
from mtlkit.errors import DataError
from mtlkit.runs.storage.data_fingerprint import (
    CONTENT,
    data_changes,
    data_fingerprint,
)
from mtlkit.task import Task

PATTERN = "{subject}_{pose}_{shot}.png"


def of(folder, **options):
    if "labels" not in options:
        options = {"pattern": PATTERN, **options}
    return Images(**{"folder": folder, "size": 8, "channels": 1, **options})


def load(folder, **options):
    return of(folder, **options).load(Loading())


def labels_of(data, name):
    """The label of every file, over all splits."""
    found = {}
    for split in data.splits().values():
        column = split.column(name)
        values = column.values() if isinstance(column, Categorical) else column.values.tolist()
        found |= dict(zip(split.ids, values, strict=True))
    return found


def refusal(folder, **options):
    with pytest.raises(DataError) as caught:
        load(folder, **options)
    return str(caught.value).replace(str(folder), "FOLDER")


def test_a_pattern_reads_labels_from_names(faces):
    data = load(faces)
    assert labels_of(data, "pose") == {
        path.name: path.name.split("_")[1] for path in faces.iterdir()
    }
    assert data.train.categorical("pose").names == ("left", "right")
    assert data.input_specs.shape == (1, 8, 8)
    assert data.summary == {
        "images": "20",
        "size": "8 x 8 pixels, gray",
        "splits": "14 train, 2 validation, 4 test",
        "subject": "5 classes: s0, s1, s2, s3, s4",
        "pose": "2 classes: left, right",
        "shot": "4 classes: 0, 1, 2, 3",
    }


def test_images_are_standardized_on_request(faces):
    assert load(faces, standardize=True).input_specs.standardize
    assert not load(faces).input_specs.standardize


def test_size_may_be_height_and_width(faces):
    assert load(faces, size=(6, 9), channels=3).input_specs.shape == (3, 6, 9)


@pytest.fixture
def rows(faces):
    """A table that says the same as the names, with the shot as a number, and two gaps."""
    found = []
    for path in sorted(faces.iterdir()):
        subject, pose, shot = path.stem.split("_")
        found.append({"file": path.name, "subject": subject, "pose": pose, "shot": shot})
    found[3]["pose"] = found[5]["shot"] = ""
    return found


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_says_the_same_as_the_names(faces, rows, write_csv, suffix):
    path = faces / f"labels.{suffix}"
    if suffix == "csv":
        write_csv(path, rows)
    else:
        table = [
            {**row, "pose": row["pose"] or None, "shot": int(row["shot"]) if row["shot"] else None}
            for row in rows
        ]
        parquet.write_table(pyarrow.Table.from_pylist(table), path)
    data = load(faces, labels=Path(path.name), numeric=("shot",))
    named = load(faces)
    for name, split in data.splits().items():
        assert split.ids == named.splits()[name].ids
        assert torch.equal(split.inputs, named.splits()[name].inputs)
    poses = labels_of(named, "pose")
    poses[rows[3]["file"]] = None
    assert labels_of(data, "pose") == poses
    shots = labels_of(data, "shot")
    assert shots[rows[4]["file"]] == float(rows[4]["shot"])
    assert shots[rows[5]["file"]] != shots[rows[5]["file"]]  # NaN
    assert data.train.column("shot").values.dtype == torch.float64
    assert data.summary["pose"] == "2 classes: left, right; missing for 1 images"
    assert data.summary["shot"] == "0 to 3; missing for 1 images"


def test_paths_are_found_beside_the_recipe(faces, rows, write_csv):
    write_csv(faces.parent / "labels.csv", rows)
    source = of(Path(faces.name), labels=Path("labels.csv"))
    assert len(source.load(Loading(base=faces.parent)).train) == 14


def test_paths_are_found_in_the_working_directory(faces, monkeypatch):
    monkeypatch.chdir(faces.parent)
    assert len(of(Path(faces.name)).load(Loading(base=faces / "no")).train) == 14


def test_the_order_of_a_table_changes_nothing(faces, rows, write_csv):
    write_csv(faces / "a.csv", rows)
    write_csv(faces / "b.csv", rows[::-1])
    first, second = (load(faces, labels=Path(name)) for name in ("a.csv", "b.csv"))
    assert first.train.ids == second.train.ids
    assert torch.equal(first.train.inputs, second.train.inputs)
    assert torch.equal(
        first.train.categorical("pose").codes, second.train.categorical("pose").codes
    )


def test_strangers_in_the_test_are_an_open_label(faces):
    data = load(faces, split=RandomSplit(groups="subject"))
    known = data.train.categorical("subject")
    assert data.open_labels == {"subject"}
    assert len(known.names) == 4
    assert set(data.validation.categorical("subject").values()) <= set(known.names)
    assert not set(data.test.categorical("subject").values()) & set(known.names)
    assert data.test.categorical("subject").names[:4] == known.names
    assert data.test.categorical("pose").names == data.train.categorical("pose").names


def test_names_stand_in_natural_order(tmp_path, write_image):
    for yaw in ("15", "-90", "0", "-15.5", "100"):
        for shot in range(3):
            write_image(tmp_path / yaw / f"{shot}.png")
    data = load(tmp_path, pattern="{yaw}/*.png", split=RandomSplit(stratify="yaw", validation=0))
    assert data.train.categorical("yaw").names == ("-90", "-15.5", "0", "15", "100")


def test_a_vocabulary_fixes_the_names(faces):
    names = ("up", "right", "left")
    data = load(faces, vocabulary={"pose": names})
    assert all(split.categorical("pose").names == names for split in data.splits().values())


def test_a_label_outside_the_vocabulary_is_named_with_its_place(faces, rows, write_csv):
    rows[2]["pose"] = "lfet"
    rows[7]["shot"] = "two"
    write_csv(faces / "labels.csv", rows)
    options = {"vocabulary": {"pose": ("left", "right")}, "numeric": ("shot",)}
    assert refusal(faces, labels=Path("labels.csv"), **options) == (
        "2 labels cannot be used:\n"
        "  labels.csv:4: pose: got 'lfet', which is outside the vocabulary: left, right "
        "(s0_right_1.png)\n"
        "  labels.csv:9: shot: expected a number, got 'two' (s1_right_3.png)"
    )
    assert refusal(faces, vocabulary={"pose": ("left", "up")}).startswith(
        "10 labels cannot be used:\n"
        "  s0_right_1.png: pose: got 'right', which is outside the vocabulary: left, up\n"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"numeric": ("age",)}, "data.numeric: got 'age', expected one of the labels: "),
        (
            {"vocabulary": {"age": ("1",)}},
            "data.vocabulary: got 'age', expected one of the labels: ",
        ),
        ({"open_labels": ("age",)}, "data.open_labels: got 'age', expected one of the labels: "),
        (
            {"split": RandomSplit(groups="age")},
            "data.split.groups: got 'age', expected one of the labels: ",
        ),
        (
            {"split": RandomSplit(stratify="age")},
            "data.split.stratify: got 'age', expected one of the labels: ",
        ),
    ],
)
def test_an_option_that_names_no_label(faces, options, message):
    assert refusal(faces, **options) == message + "pose, shot, subject"


def test_a_label_called_split_divides(faces, rows, write_csv):
    for place, row in enumerate(rows):
        row["split"] = "test" if row["subject"] == "s4" else ("validation", "train")[place > 1]
    write_csv(faces / "labels.csv", rows)
    data = load(faces, labels=Path("labels.csv"), open_labels=("subject",))
    assert {name: len(split) for name, split in data.splits().items()} == {
        "train": 14,
        "validation": 2,
        "test": 4,
    }
    assert set(data.test.categorical("subject").values()) == {"s4"}
    assert data.open_labels == {"subject"}
    assert "split" not in data.train.columns
    assert "split" not in data.summary
    assert refusal(faces, labels=Path("labels.csv"), split=RandomSplit()).startswith(
        "data.split: the label 'split' names the split of each file already; remove one of the two"
    )


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("dev", "labels.csv:2: split: expected train, validation or test, got 'dev'"),
        ("", "labels.csv:2: split: expected train, validation or test, got None"),
        ("test", "the training split is empty; set split to 'train' for some files"),
    ],
)
def test_a_wrong_split(faces, rows, write_csv, word, message):
    write_csv(faces / "labels.csv", [{**row, "split": word} for row in rows])
    assert refusal(faces, labels=Path("labels.csv")) == message


def spoil(folder):
    """Three files that cannot be used, and one that is no image."""
    (folder / "s0_left_0.png").write_bytes(b"")
    whole = (folder / "s1_left_2.png").read_bytes()
    (folder / "s1_left_2.png").write_bytes(whole[:60])
    Image.new("L", (4, 4)).save(folder / "odd.JPG")
    (folder / "README").write_text("about these images")


def test_every_bad_file_is_told_before_training(faces):
    spoil(faces)
    told = refusal(faces).splitlines()
    assert told[0] == "FOLDER: 3 of 21 files cannot be used:"
    assert told[1] == f"  odd.JPG: does not match the pattern {PATTERN!r}"
    assert told[2] == "  s0_left_0.png: is empty (0 bytes)"
    assert told[3].startswith("  s1_left_2.png: cannot be read: ")
    assert told[4] == (
        "repair them, list them under `ignore`, or skip and count them with `skip_bad: true`"
    )


def test_skip_bad_counts_them(faces):
    spoil(faces)
    data = load(faces, skip_bad=True)
    assert len(labels_of(data, "pose")) == 18
    assert data.summary["images"] == "18"
    assert data.summary["skipped"] == "3 files: odd.JPG, s0_left_0.png, s1_left_2.png"
    assert data.summary["not images"] == "1 file: README"
    good = labels_of(load(faces, skip_bad=True), "pose")
    assert good == labels_of(data, "pose")


def test_a_bad_file_does_not_shift_its_neighbours(faces):
    whole = load(faces)
    spoil(faces)
    left = load(faces, skip_bad=True)
    before, after = ({}, {})
    for found, data in ((before, whole), (after, left)):
        for split in data.splits().values():
            index = torch.arange(len(split))
            found |= dict(zip(split.ids, split.inputs[index].flatten(1).tolist(), strict=True))
    assert all(before[name] == pixels for name, pixels in after.items())


def test_ignored_files_are_not_looked_at(faces):
    spoil(faces)
    data = load(faces, ignore=("*.JPG", "README", "s0_left_0.png", "s1_left_*.png"))
    assert data.summary["images"] == "17"
    assert not {"skipped", "not images"} & set(data.summary)


def test_missing_files_of_a_table_are_told(faces, rows, write_csv):
    gone = [{**rows[0], "file": f"gone/{place:02}.png"} for place in range(12)]
    write_csv(faces / "labels.csv", [*rows, *gone])
    told = refusal(faces, labels=Path("labels.csv")).splitlines()
    assert told[0] == "FOLDER: 12 of 32 files cannot be used:"
    assert told[1] == "  gone/00.png: is missing (listed at labels.csv:22)"
    assert told[11] == "  and 2 more"
    data = load(faces, labels=Path("labels.csv"), skip_bad=True)
    assert data.summary["skipped"].endswith("gone/09.png, ... (12 in all)")


def test_a_file_in_two_rows_is_refused(faces, rows, write_csv):
    write_csv(faces / "labels.csv", [*rows, rows[4] | {"file": "./" + rows[4]["file"]}])
    assert refusal(faces, labels=Path("labels.csv"), skip_bad=True) == (
        "labels.csv:22: the file 's1_left_0.png' was already listed at labels.csv:6; keep one of "
        "the two rows"
    )


def test_no_folder_no_table_no_image(faces, tmp_path):
    assert refusal(faces / "no") == (
        "data.folder: no such folder: FOLDER (tried FOLDER); set it by `--set data.folder=...`"
    )
    assert refusal(faces, labels=Path("no.csv")).startswith("data.labels: no such file: no.csv")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert (
        refusal(empty)
        == "FOLDER: no image can be used; the folder has no file that `ignore` leaves"
    )
    (empty / "a.txt").write_text("x")
    assert refusal(empty) == "FOLDER: no image can be used; not images: 1 file: a.txt"
    (empty / "a_b_c.png").write_bytes(b"")
    assert "skipped: 1 file: a_b_c.png" in refusal(empty, skip_bad=True)


def test_a_split_that_would_be_empty(faces):
    assert refusal(faces, split=RandomSplit(test=0.01)).startswith("the test split is empty: ")


def test_images_beyond_memory_are_the_same(faces):
    source = of(faces, split=RandomSplit(groups="subject"))
    near, far = (attrs.evolve(source, memory=memory).load(Loading()) for memory in (1, 0))
    assert not isinstance(far.train.inputs, torch.Tensor)
    for name, split in near.splits().items():
        other = far.splits()[name]
        index = torch.randperm(len(split))
        assert torch.equal(other.inputs[index], split.inputs[index])
        assert other.ids == split.ids
        assert other.subset(index[:2]).ids == split.subset(index[:2]).ids
    assert near.summary == far.summary


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pattern": None}, "pattern: expected one of `labels` and `pattern`, got neither"),
        (
            {"labels": Path("x.csv"), "pattern": PATTERN},
            "pattern: expected one of `labels` and `pattern`, got both",
        ),
        (
            {"pattern": "*.png"},
            "pattern: expected at least one label such as {subject}, got none; got '*.png'",
        ),
        ({"size": 0}, "size: expected a whole number of at least 1, got 0"),
        ({"size": (8, 0)}, "size: expected a whole number of at least 1, got 0"),
        ({"size": (8, 8, 3)}, "size: expected one number, or height and width, got (8, 8, 3)"),
        ({"channels": 2}, "channels: expected 1 (gray) or 3 (RGB), got 2"),
        (
            {"vocabulary": {"pose": ("left", "left")}},
            "vocabulary: pose: expected different names, got 'left' twice; remove one",
        ),
        (
            {"vocabulary": {"yaw": ("0",)}, "numeric": ("yaw",)},
            "vocabulary: yaw: is a number (see `numeric`) and has no names",
        ),
        (
            {"vocabulary": {"subject": ("ann",)}, "split": RandomSplit(groups="subject")},
            "vocabulary: subject: cannot be fixed, since the test split has other values",
        ),
    ],
)
def test_what_is_refused_before_loading(options, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        Images(**{"folder": Path("x"), "size": 8, "pattern": PATTERN, **options})
    assert str(caught.value) == message


def test_the_component_is_registered(catalog):
    assert catalog.data.get("images") is Images


def test_pixels_are_normalized_by_the_mean_of_each_channel(faces):
    mean, std = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
    data = load(faces, channels=3, mean=mean, std=std)
    assert (data.input_specs.mean, data.input_specs.std) == (mean, std)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mean": (1.0, 2.0)}, "mean: expected one number, or 3 for the channels, got 2"),
        ({"std": (1.0, 2.0)}, "std: expected one number, or 3 for the channels, got 2"),
        ({"std": (0.0,)}, "std: expected a number above 0, got 0.0"),
    ],
)
def test_a_mean_that_does_not_fit_the_channels_is_refused(options, message):
    with pytest.raises(ValueError, match="expected") as caught:
        Images(folder="faces", pattern="{a}.png", size=8, **options)
    assert str(caught.value) == message


def test_the_limit_of_memory_may_be_a_fraction_in_a_recipe(tmp_path):
    text = (
        "data: {type: images, folder: faces, pattern: '{pose}.png', size: 8, memory: 0.5}\n"
        "backbone: {type: mlp, hidden: [4]}\ntasks: {pose: {}}\n"
    )
    (tmp_path / "r.yaml").write_text(text)
    recipe = mtlkit.load_recipe(tmp_path / "r.yaml", mtlkit.load_catalog("none"))
    assert recipe.data.memory == 0.5


def test_a_run_resumes_with_another_limit_of_memory(faces):
    """Images that are in memory in one of two sessions alone are not reported as changed."""
    tasks = {"pose": Task()}
    prints = []
    for memory in (1, 0):
        data = load(faces, memory=memory)
        prints.append(data_fingerprint(data, tasks, assembly_of(data, tasks)))
    assert data_changes(*prints) == data_changes(*prints, content=True) == []
    changed = {name: {**parts, CONTENT: "other"} for name, parts in prints[0].items()}
    assert data_changes(prints[0], changed, content=True) == [
        f"{CONTENT} of {name}" for name in changed
    ]
