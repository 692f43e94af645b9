"""Faces in RecordIO: the two layouts that exist, packing, and files that contradict themselves."""

import gc
import io
import os
import struct
import tracemalloc

import numpy as np
import pytest
from mtlkit_face.data.folder import list_folder
from mtlkit_face.data.recordio.container import RecordWriter
from mtlkit_face.data.recordio.faces import HEADER, open_record_faces, parse_header
from mtlkit_face.data.recordio.pack import pack
from mtlkit_face.data.recordio.source import FaceRecords, list_records
from PIL import Image

from mtlkit.data import Loading
from mtlkit.plugins import DataError
from mtlkit.runs.storage.data_fingerprint import encoded_sizes


def silent(*_):
    pass


def png(shade, size=(8, 8)):
    target = io.BytesIO()
    Image.new("L", size, shade).save(target, format="PNG")
    return target.getvalue()


def tree(folder, subjects, size=(8, 8)):
    """A folder of subjects, with the names of their images."""
    shade = 0
    for subject, names in subjects.items():
        (folder / subject).mkdir(parents=True)
        for name in names:
            (folder / subject / name).write_bytes(png(shade, size))
            shade += 20
    return folder


def record_file(path, records, index=True):
    """A RecordIO file of payloads by key, with its index."""
    lines = []
    with path.open("wb") as file:
        writer = RecordWriter(file)
        for key, payload in records:
            lines.append(f"{key}\t{writer.write(payload)}\n")
    if index:
        path.with_suffix(".idx").write_text("".join(lines))
    return path


def scalar(label, image=b""):
    return HEADER.pack(0, label, 0, 0) + image


def listed(*labels, image=b""):
    return HEADER.pack(len(labels), 0.0, 0, 0) + struct.pack(f"<{len(labels)}f", *labels) + image


def test_a_packed_folder_is_read_again(tmp_path):
    folder = tree(tmp_path / "in", {"b": ["2.png", "1.png"], "a": ["x.png"]})
    listing = list_folder(folder)
    pack(listing.store, listing.subjects, tmp_path / "out/train.rec")
    faces, subjects = open_record_faces(tmp_path / "out/train.rec", silent)
    assert list(faces.keys) == [1, 2, 3]
    assert list(subjects) == [0, 1, 1]
    order = ["a/x.png", "b/1.png", "b/2.png"]
    assert [faces.read(i) for i in range(3)] == [(folder / name).read_bytes() for name in order]
    assert (tmp_path / "out/property").read_text() == "2,8,8\n"
    assert (tmp_path / "out/subjects.csv").read_text() == "number,subject\n0,a\n1,b\n"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "property", "subjects.csv", "train.idx", "train.rec",
    ]  # fmt: skip


def test_the_records_of_subjects_hold_the_keys_of_their_images(tmp_path):
    listing = list_folder(tree(tmp_path / "in", {"b": ["2.png", "1.png"], "a": ["x.png"]}))
    pack(listing.store, listing.subjects, tmp_path / "train.rec")
    faces, _ = open_record_faces(tmp_path / "train.rec", silent)
    payloads = [payload for _, payload in faces.file.records()]
    labels = [parse_header(payload).labels for payload in payloads]
    assert labels == [(4, 6), (0,), (1,), (1,), (1, 2), (2, 4)]


@pytest.mark.parametrize("index", [True, False])
def test_a_set_without_announcement_is_read_whole(tmp_path, index):
    """``im2rec``: images from key 0 on, and any order of keys."""
    path = record_file(tmp_path / "a.rec", [(0, scalar(3, b"x")), (1, scalar(0, b"y"))], index)
    faces, subjects = open_record_faces(path, silent)
    assert [faces.read(i) for i in range(len(faces))] == [b"x", b"y"]
    assert list(subjects) == [3, 0]


def test_an_image_with_several_labels_has_the_first(tmp_path):
    path = record_file(tmp_path / "a.rec", [(0, listed(7, 0.5, image=b"x"))])
    faces, subjects = open_record_faces(path, silent)
    assert list(subjects) == [7]
    assert faces.read(0) == b"x"


def test_shuffled_keys_come_in_order(tmp_path):
    path = record_file(tmp_path / "a.rec", [(9, scalar(1, b"x")), (4, scalar(2, b"y"))])
    assert list(open_record_faces(path, silent)[0].keys) == [4, 9]


def test_progress_is_told(tmp_path):
    heard = []
    path = record_file(tmp_path / "a.rec", [(0, scalar(1, b"x")), (1, scalar(1, b"y"))])
    list_records(path, lambda *event: heard.append(event))
    assert heard == [("reading labels", 2, 2)]


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([(0, scalar(2.0**24, b"x"))],
         ", record 0 at byte 0: got the label 16777216, expected one below 16777216, the limit "
         "of exact numbers in float32"),
        ([(0, scalar(1, b"x")), (1, scalar(0.5, b"x"))],
         ", record 1 at byte 36: got the label 0.5, expected the number of a subject"),
        ([(0, scalar(float("nan"), b"x"))],
         ", record 0 at byte 0: got the label nan, expected the number of a subject"),
        ([(0, scalar(-1, b"x"))],
         ", record 0 at byte 0: got the label -1, expected the number of a subject"),
        ([(0, b"tiny")],
         ", record 0 at byte 0: got 4 bytes, expected a header of 24 bytes"),
        ([(1, HEADER.pack(2**31, 0, 0, 0))],
         ", record 1 at byte 0: got 2147483648 labels before an image, expected at most 64"),
        ([(0, listed(3, 2)), (1, scalar(0))],
         ", record 0: got 3 and 2, expected the keys at which images and all records end"),
        ([(0, listed(3, 4)), (1, scalar(0)), (3, listed(1, 3))],
         ": record 0 lists the records 1 to 3; the index lacks 1 of them, such as 2"),
        ([(0, scalar(3)), (1, scalar(0, b"x"))],
         ", record 0: got 1 label and no image, expected an image, or the keys at which images"),
        ([(0, listed(2, 3)), (1, scalar(0, b"x")), (2, listed(1, 2)), (3, listed(1, 2))],
         ": record 0 lists the records 1 to 2, but the index has 1 more, such as 3"),
        ([(0, listed(2, 4)), *((i, scalar(0, b"x")) for i in (1, 2)), (3, listed(1, 3))],
         ", record 2: got an image, but record 0 lists images up to record 1"),
        ([(0, listed(3, 4)), *((i, listed(1, 2)) for i in (1, 2)), (3, listed(1, 3))],
         ", record 1: got no image, but record 0 lists images up to record 2"),
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_told_with_its_place(tmp_path, records, message):
    path = record_file(tmp_path / "a.rec", records)
    with pytest.raises(DataError) as caught:
        open_record_faces(path, silent)
    assert str(caught.value).startswith(f"{path}{message}")


def test_an_index_of_another_file_is_noticed(tmp_path):
    path = record_file(tmp_path / "a.rec", [(0, scalar(1)), (1, scalar(1))])
    path.with_suffix(".idx").write_text("0\t0\n")
    with pytest.raises(DataError) as caught:
        open_record_faces(path, silent)
    assert str(caught.value) == (
        f"{path.with_suffix('.idx')}: its last record ends at byte 32, but {path} has 64 bytes; "
        f"the index is truncated or of another file. Copy it again, or delete it to scan the file "
        f"instead"
    )


def test_other_images_have_other_sizes(tmp_path):
    """A resumed run compares them, and so notices other images without reading all."""
    sizes = []
    for shades in ((9, 8), (9, 200)):
        records = [(i, scalar(1, png(shade, (8, shade)))) for i, shade in enumerate((*shades, 7))]
        path = record_file(tmp_path / "a.rec", records)
        data = FaceRecords(file=path, check=False).load(Loading())
        sizes.append([part.tolist() for part in encoded_sizes(data.train.inputs)])
    assert sizes[0] != sizes[1]
    assert len(sizes[0][0]) == len(data.train)


def test_a_file_that_is_overwritten_while_it_is_open_is_named(tmp_path):
    path = record_file(tmp_path / "a.rec", [(0, scalar(1, png(9))), (1, scalar(1, png(8)))])
    faces, _ = open_record_faces(path, silent)
    faces.read(0)
    record_file(path, [(0, scalar(1, png(7))), (1, scalar(1, png(6)))])
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 10**9))
    with pytest.raises(DataError, match="was changed since it was indexed; restore it, or start"):
        faces.read(0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,8,8", "has 1 subjects, numbered from 0, but a record has the label 1"),
        ("2 8 8", "got '2 8 8', expected the number of subjects, height and width"),
    ],
)
def test_property_is_held_against_the_labels(tmp_path, text, message):
    path = record_file(tmp_path / "a.rec", [(0, scalar(1, b"x"))])
    (tmp_path / "property").write_text(text)
    with pytest.raises(DataError) as caught:
        open_record_faces(path, silent)
    assert str(caught.value) == f"{tmp_path / 'property'}: {message}"


def test_images_of_different_sizes_are_not_packed(tmp_path):
    folder = tree(tmp_path / "in", {"a": ["1.png"]})
    tree(tmp_path / "in", {"b": ["1.png"]}, size=(8, 9))
    listing = list_folder(folder)
    with pytest.raises(DataError) as caught:
        pack(listing.store, listing.subjects, tmp_path / "out/train.rec")
    assert str(caught.value) == (
        f"{folder}/b/1.png: got 8 x 9 pixels, expected 8 x 8 as in the images before it; align "
        f"them first (`mtlkit face align`)"
    )
    assert list((tmp_path / "out").iterdir()) == []


def test_nothing_is_written_over(tmp_path):
    listing = list_folder(tree(tmp_path / "in", {"a": ["1.png"]}))
    (tmp_path / "property").write_text("mine")
    with pytest.raises(DataError, match=r"property: already exists; choose another name"):
        pack(listing.store, listing.subjects, tmp_path / "train.rec")
    assert (tmp_path / "property").read_text() == "mine"


def test_a_killed_call_can_be_repeated(tmp_path, monkeypatch):
    listing = list_folder(tree(tmp_path / "in", {"a": ["1.png"], "b": ["1.png"]}))
    pack(listing.store, listing.subjects, tmp_path / "whole/train.rec")
    whole = {path.name: path.read_bytes() for path in (tmp_path / "whole").iterdir()}
    assert sorted(whole) == ["property", "subjects.csv", "train.idx", "train.rec"]
    for moved in range(3):  # files that had appeared before the kill, in their order
        folder = tmp_path / f"killed-{moved}"
        folder.mkdir()
        for name in ("train.idx", "subjects.csv", "property")[: moved + 1]:
            (folder / name).write_bytes(whole[name])
        (folder / ".partial-train.rec").write_bytes(b"torn")
        pack(listing.store, listing.subjects, folder / "train.rec")
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == whole


def test_many_threads_read_what_one_reads(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    payloads = [(key, scalar(key, bytes([key]) * 50)) for key in range(64)]
    faces, _ = open_record_faces(record_file(tmp_path / "a.rec", payloads), silent)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(faces.read, np.arange(64).tolist()))
    assert found == [bytes([key]) * 50 for key in range(64)]


def test_an_index_keeps_at_most_24_bytes_a_record(tmp_path):
    """Offsets, labels, and the order of the split together."""
    count = 20_000
    payloads = [(key, scalar(key // 50, b"x")) for key in range(count)]
    path = record_file(tmp_path / "a.rec", payloads)
    source = FaceRecords(file=path, check=False)
    source.load(Loading())  # imports what it needs
    gc.collect()
    tracemalloc.start()
    data = source.load(Loading())
    gc.collect()
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    codes = data.train.categorical("subject").codes  # memory of torch is not traced
    assert kept + codes.numel() * codes.element_size() < 24 * count


def test_an_index_of_another_file_of_the_same_size_is_noticed(tmp_path):
    path = record_file(tmp_path / "a.rec", [(0, scalar(1, b"x" * 8)), (1, scalar(1, b"y" * 40))])
    other = record_file(tmp_path / "b.rec", [(0, scalar(1, b"x" * 40)), (1, scalar(1, b"y" * 8))])
    path.with_suffix(".idx").write_bytes(other.with_suffix(".idx").read_bytes())
    with pytest.raises(DataError, match=r"a\.rec, byte 72: got the magic number 79797979"):
        open_record_faces(path, silent)
