"""Faces in the wild: folders, lists and RecordIO give the same data; odd cases are told."""

import attrs
import numpy as np
import pytest
import torch
from mtlkit_face.data.alignment_folder import align_folder
from mtlkit_face.data.folder import FaceFolder, list_folder
from mtlkit_face.data.landmarks import LandmarkTable
from mtlkit_face.data.multi_pie.tree import read_tree
from mtlkit_face.data.recordio.pack import pack
from mtlkit_face.data.recordio.source import FaceRecords
from PIL import Image

from mtlkit.data import Loading
from mtlkit.plugins import DataError

SUBJECTS = {"0000045": 4, "0000099": 3, "0000100": 2}


@pytest.fixture
def folder(tmp_path):
    """Three subjects, with noise for faces, no two alike and none like its mirror image."""
    random = np.random.default_rng(0)
    for subject, count in SUBJECTS.items():
        (tmp_path / "faces" / subject).mkdir(parents=True)
        for number in range(count):
            pixels = random.integers(0, 256, (12, 12), np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"faces/{subject}/{number:03d}.png")
    return tmp_path / "faces"


def small(folder, **options):
    return FaceFolder(folder=folder, size=12, **options)


def loaded(source, **circumstances):
    return source.load(Loading(workers=1, **circumstances))


def everything(split):
    return split.inputs[torch.arange(len(split))]


def test_the_declared_labels_are_those_of_the_data(folder, tmp_path):
    (tmp_path / "poses.csv").write_text("file,pose,yaw\n0000045/000.png,left,-30\n")
    source = small(folder, labels=tmp_path / "poses.csv", classes=("pose",), numeric=("yaw",))
    columns = loaded(source).train.columns
    assert source.label_targets == {name: type(column.target) for name, column in columns.items()}


def test_names_that_are_not_utf8_are_refused_or_listed_with_escapes(folder, tmp_path):
    (folder / "0000045" / "notes\udce9.txt").write_text("")
    assert list_folder(folder).other == [r"0000045/notes\xe9.txt"]
    assert r"0000045/notes\xe9.txt" in loaded(small(folder)).summary["other files"]
    (folder / "caf\udce9").mkdir()
    (folder / "0000045" / "000.png").rename(folder / "caf\udce9" / "000.png")
    words = r"got 1 images whose names are not UTF-8, such as caf\\xe9/000.png; rename them"
    with pytest.raises(DataError, match=words):
        loaded(small(folder))
    with pytest.raises(DataError, match=words):
        align_folder(
            folder, LandmarkTable({}, {}), None, tmp_path / "out", workers=1, progress=None
        )
    with pytest.raises(DataError, match=words):
        read_tree(folder)


def test_a_folder_is_the_subject_of_its_images(folder):
    data = loaded(small(folder))
    assert data.train.categorical("subject").names == tuple(SUBJECTS)
    assert list(data.train.ids[:2]) == ["0000045/000.png", "0000045/001.png"]
    assert data.input_specs.shape == (1, 12, 12)
    with Image.open(folder / "0000099/002.png") as image:
        shown = everything(data.train)[data.train.ids.index("0000099/002.png"), 0]
        assert torch.equal(shown, torch.from_numpy(np.asarray(image).copy()))


def test_a_record_file_gives_what_its_folder_gives(folder, tmp_path):
    listing = list_folder(folder)
    pack(listing.store, listing.subjects, tmp_path / "rec/train.rec")
    one = loaded(small(folder))
    other = loaded(FaceRecords(file=tmp_path / "rec/train.rec", size=12))
    assert torch.equal(everything(one.train), everything(other.train))
    codes = [data.train.categorical("subject").codes for data in (one, other)]
    assert torch.equal(*codes)
    assert other.train.categorical("subject").names == ("0", "1", "2")
    assert list(other.train.ids) == [str(key) for key in range(1, 10)]


def test_a_list_says_which_images_are_taken(folder, tmp_path):
    (tmp_path / "list.txt").write_text("0000045/000.png\tann\n0000099/001.png\tbob\t0.5\n\n")
    data = loaded(small(folder, files="list.txt"), base=tmp_path)
    assert list(data.train.ids) == ["0000045/000.png", "0000099/001.png"]
    assert data.train.categorical("subject").values() == ["ann", "bob"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0000045/000.png\n", ":1: got '0000045/000.png', expected a path, a tab and a subject"),
        ("../x.png\tann\n", ":1: the path '../x.png' is outside of {folder}"),
        ("/etc/x.png\tann\n", ":1: the path '/etc/x.png' is outside of {folder}"),
        ("x.png\tann\n", ":1: the file {folder}/x.png does not exist"),
        ("0000045/000.png\ta\n./0000045/000.png\tb\n",
         ":2: '0000045/000.png' is already listed in line 1"),
        ("", ": the list is empty"),
    ],
)  # fmt: skip
def test_a_list_that_cannot_be_followed(folder, text, message):
    (folder / "list.txt").write_text(text)
    with pytest.raises(DataError) as caught:
        loaded(small(folder, files="list.txt"))
    assert str(caught.value) == f"{folder}/list.txt{message.format(folder=folder)}"


def test_files_that_are_no_faces_are_counted(folder):
    (folder / "sheet.png").write_bytes(b"no face of a subject")
    (folder / "0000045/Thumbs.db").touch()
    summary = loaded(small(folder)).summary
    assert summary["other files"] == "2, such as 0000045/Thumbs.db"
    assert summary["images"] == "9"


def test_a_part_of_each_subject_is_held_out(folder):
    data = loaded(small(folder, validation=0.34))
    held = data.validation.categorical("subject").values()
    assert sorted(held) == ["0000045", "0000099", "0000100"]
    assert not set(data.validation.ids) & set(data.train.ids)
    assert data.validation.categorical("subject").names == tuple(SUBJECTS)


def test_subjects_are_left_out_by_name(folder):
    (folder / "overlap.txt").write_text("0000099\n\n")
    data = loaded(small(folder, without="overlap.txt"))
    assert set(data.train.categorical("subject").values()) == {"0000045", "0000100"}
    assert data.summary["excluded by `without`"] == "3 images of 1 subjects"
    (folder / "overlap.txt").write_text("0000099\n99\n")
    with pytest.raises(DataError) as caught:
        loaded(small(folder, without="overlap.txt"))
    assert str(caught.value) == (
        f"{folder}/overlap.txt: 1 of 2 names are not subjects of the data, such as '99'; correct "
        f"or remove them"
    )


def test_mirror_images_follow_the_images(folder):
    plain = loaded(small(folder, validation=0.34))
    data = loaded(small(folder, validation=0.34, mirror=True))
    half = len(plain.train)
    assert len(data.train) == 2 * half
    assert torch.equal(everything(data.train)[half:], everything(plain.train).flip(-1))
    assert list(data.train.ids[half:]) == [f"{name}#mirror" for name in plain.train.ids]
    assert torch.equal(everything(data.validation), everything(plain.validation))


POSES = "file,pose,yaw\n0000045/000.png,left,-60\n0000045/001.png,front,\n0000045/002.png,-1,5\n"


def test_labels_come_from_a_table_and_turn_in_the_mirror(folder):
    (folder / "poses.csv").write_text(POSES + "0000045/003.png,right,60\n0000099/000.png,,\n")
    source = small(folder, labels="poses.csv", classes=("pose",), numeric=("yaw",), mirror=True,
                   swap={"pose": ("left", "right")}, negate=("yaw",))  # fmt: skip
    data = loaded(source)
    pose = data.train.categorical("pose")
    assert pose.names == ("front", "left", "right")
    assert pose.values()[:5] == ["left", "front", None, "right", None]
    assert pose.values()[9:14] == ["right", "front", None, "left", None]
    yaw = data.train.columns["yaw"].values
    assert yaw[[0, 2, 3]].tolist() == [-60, 5, 60]
    assert yaw[[9, 11, 12]].tolist() == [60, -5, -60]
    assert int(yaw.isnan().sum()) == 2 * 6
    assert data.summary["pose"] == "1 front, 1 left, 1 right; unknown for 6"
    assert data.summary["yaw"] == "a number; unknown for 6"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("file,view\n0000045/000.png,left\n", ": has no column 'pose'; it has: view"),
        ("file,pose\nx.png,left\n",
         ": 1 of 1 files are unknown faces, such as 'x.png'; use the table of these faces"),
        ("file,pose\n0000045/000.png,\n", ": no face has a 'pose'"),
        ("file,pose\n0000045/000.png,left\n0000045/000.png,right\n",
         ":3: '0000045/000.png' is already listed at poses.csv:2"),
    ],
)  # fmt: skip
def test_a_table_of_labels_that_does_not_fit(folder, table, message):
    (folder / "poses.csv").write_text(table)
    with pytest.raises(DataError) as caught:
        loaded(small(folder, labels="poses.csv", classes=("pose",)))
    assert str(caught.value).removeprefix(f"{folder}/") == f"poses.csv{message}"


def test_a_cell_that_is_no_number_and_a_class_to_swap_that_is_not_there(folder):
    (folder / "poses.csv").write_text(POSES.replace("-60", "much"))
    with pytest.raises(DataError, match=r"poses\.csv:2: yaw: got 'much', expected a number"):
        loaded(small(folder, labels="poses.csv", numeric=("yaw",)))
    with pytest.raises(DataError) as caught:
        loaded(small(folder, labels="poses.csv", classes=("pose",), mirror=True,
                     swap={"pose": ("left", "right")}))  # fmt: skip
    assert str(caught.value) == (
        "data.swap: the label 'pose' has no class 'right'; it has: front, left"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": ("pose",)}, "classes: requires a table; set `labels`"),
        ({"labels": "t.csv", "classes": ("pose",), "numeric": ("pose",)},
         "numeric: 'pose' is also in `classes`; remove one of them"),
        ({"labels": "t.csv", "classes": ("pose",), "mirror": True},
         "mirror: the label 'pose' needs a rule for mirrored images; add it to one of `swap`, "
         "`negate` and `keep`"),
        ({"labels": "t.csv", "classes": ("pose",), "mirror": True, "keep": ("pose", "age")},
         "keep: got 'age', expected a label of: pose"),
        ({"labels": "t.csv", "classes": ("pose",), "mirror": True, "negate": ("pose",)},
         "negate: got 'pose', expected a label of: none"),
        ({"keep": ("pose",)}, "keep: 'pose' is used only with `mirror: true`"),
        ({"channels": 2}, "channels: got 2, expected 1 (gray) or 3 (RGB)"),
        ({"check": False, "skip_bad": True},
         "skip_bad: requires the check of all images; remove `check: false`"),
    ],
)  # fmt: skip
def test_options_that_contradict_each_other(folder, options, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        FaceFolder(folder=folder, **options)
    assert str(caught.value) == message


def test_images_that_cannot_be_used(folder):
    (folder / "0000045/000.png").write_bytes(b"")
    (folder / "0000045/001.png").write_bytes(b"no image")
    Image.new("L", (12, 9)).save(folder / "0000099/000.png")  # cropped to a square
    with pytest.raises(DataError) as caught:
        loaded(small(folder))
    assert str(caught.value) == (
        f"{folder}: 2 of 9 images cannot be used:\n"
        f"  {folder}/0000045/000.png: is empty (0 bytes)\n"
        f"  {folder}/0000045/001.png: is not an image of a supported format\n"
        f"repair them, or skip and count them with `skip_bad: true`"
    )
    data = loaded(small(folder, skip_bad=True))
    assert len(data.train) == 7
    assert data.summary["skipped as unusable"] == "2 images"
    trusting = loaded(small(folder, check=False))
    assert len(trusting.train) == 9
    with pytest.raises(DataError, match=r"0000045/000\.png: is empty \(0 bytes\)"):
        trusting.train.inputs[torch.tensor([0])]


def test_a_bad_image_of_a_subject_left_out_is_no_matter(folder):
    (folder / "0000045/000.png").write_bytes(b"")
    (folder / "overlap.txt").write_text("0000045\n")
    assert len(loaded(small(folder, without="overlap.txt")).train) == 5


def test_a_damaged_record_is_told_with_its_key_and_byte(folder, tmp_path):
    listing = list_folder(folder)
    pack(listing.store, listing.subjects, tmp_path / "rec/train.rec")
    path = tmp_path / "rec/train.rec"
    place = int(path.with_suffix(".idx").read_text().splitlines()[2].split("\t")[1])
    content = bytearray(path.read_bytes())
    content[place + 40 : place + 60] = bytes(20)
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        loaded(FaceRecords(file=path, size=12))
    assert f"  {path}, record 2 at byte {place}: " in str(caught.value)


def test_what_is_not_there(tmp_path):
    with pytest.raises(DataError) as caught:
        loaded(small("faces"), base=tmp_path)
    assert str(caught.value).startswith(f"data.folder: faces does not exist (tried {tmp_path}")
    assert str(caught.value).endswith("set it with `--set data.folder=...`")
    (tmp_path / "faces").mkdir()
    with pytest.raises(DataError) as caught:
        loaded(small("faces"), base=tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}/faces: contains no image in a folder of its subject; expected files such as "
        f"{tmp_path}/faces/subject/image.jpg"
    )


def test_a_face_is_resized_and_coloured(folder):
    source = attrs.evolve(small(folder), size=8, channels=3)
    assert loaded(source).input_specs.shape == (3, 8, 8)
