"""Galleries come back as they were written; the search of one is that of brute force."""

import os
from pathlib import Path
from random import Random

import attrs
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import torch.nn.functional as F
from mtlkit_face.inference import (
    ExactIndex,
    FaissIndex,
    TemplateGallery,
    TemplateOrigin,
    enroll,
    identify,
    read_gallery,
    write_gallery,
)
from mtlkit_face.inference.enrollment import names_of

from mtlkit.plugins import DataError, MissingExtraError

ORIGIN = TemplateOrigin(fingerprint="f" * 64, weights="w" * 64, task="identity", size=6)
SUFFIXES = (".parquet", ".safetensors")


def gallery(count=40, people=9, seed=0):
    random = torch.Generator().manual_seed(seed)
    names = torch.randint(0, people, (count,), generator=random).tolist()
    return TemplateGallery(
        files=tuple(f"{place}.png" for place in range(count)),
        names=tuple(f"person {number}" for number in names),
        templates=F.normalize(torch.randn(count, ORIGIN.size, generator=random), dim=1),
        origin=ORIGIN,
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("count", [0, 1, 40])
def test_a_gallery_comes_back_as_it_was(tmp_path, suffix, count):
    written = gallery(count)
    write_gallery(written, tmp_path / f"g{suffix}")
    found = read_gallery(tmp_path / f"g{suffix}")
    assert torch.equal(found.templates, written.templates)
    for field in ("files", "names", "origin"):
        assert getattr(found, field) == getattr(written, field)
    assert [path.name for path in tmp_path.iterdir()] == [f"g{suffix}"]


def test_the_format_is_an_open_one(tmp_path):
    write_gallery(gallery(), tmp_path / "g.parquet")
    table = pq.read_table(tmp_path / "g.parquet")
    assert table.column_names == ["file", "name", "template"]
    assert table.schema.field("template").type == pa.list_(pa.float32(), ORIGIN.size)
    assert ORIGIN.fingerprint.encode() in table.schema.metadata[b"mtlkit-face"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_no_gallery_says_so(tmp_path, suffix):
    path = tmp_path / f"g{suffix}"
    with pytest.raises(DataError, match="no such file; create one with `mtlkit face enroll"):
        read_gallery(path)
    path.write_bytes(b"junk" * 10)
    with pytest.raises(DataError, match="cannot be read as templates"):
        read_gallery(path)
    with pytest.raises(
        DataError, match=r"got the suffix '\.npz', expected \.parquet or \.safetensors"
    ):
        read_gallery(tmp_path / "g.npz")


def test_a_table_of_something_else_and_a_later_format_are_refused(tmp_path):
    path = tmp_path / "g.parquet"
    pq.write_table(pa.table({"file": ["a"]}), path)
    with pytest.raises(DataError, match="cannot be read as templates"):
        read_gallery(path)
    pq.write_table(
        pa.table({"file": ["a"]}).replace_schema_metadata({"mtlkit-face": '{"format": 9}'}), path
    )
    with pytest.raises(DataError, match="got format 9, expected 2"):
        read_gallery(path)


def test_a_gallery_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "g.parquet"
    write_gallery(gallery(3), path)
    before = path.read_bytes()

    def full(table, place):
        place.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(DataError, match=r"g\.parquet: cannot be written: No space left on device"):
        write_gallery(gallery(5), path)
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["g.parquet"]


def test_enrolling_adds_and_replaces(models, tmp_path):
    model = models["m"]
    origin = TemplateOrigin.of(model)
    first = attrs.evolve(gallery(4), templates=torch.zeros(4, model.size), origin=origin)
    again = attrs.evolve(
        first,
        files=("0.png", "new.png"),
        names=(first.names[0], "new"),
        templates=torch.ones(2, model.size),
    )
    enroll(first, tmp_path / "g.parquet", model)
    whole = enroll(again, tmp_path / "g.parquet", model)
    assert len(whole) == 5
    assert whole.files == ("1.png", "2.png", "3.png", "0.png", "new.png")
    assert torch.equal(read_gallery(tmp_path / "g.parquet").templates, whole.templates)
    assert whole.templates.sum(dim=1).gt(0).tolist() == [False] * 3 + [True] * 2
    assert sum(whole.people().values()) == 5


@pytest.mark.parametrize("nobody", ["", None])
def test_who_has_no_name_is_not_searched_for_and_not_enrolled(models, tmp_path, nobody):
    model = models["m"]
    some = attrs.evolve(
        gallery(4), templates=torch.ones(4, model.size), origin=TemplateOrigin.of(model)
    )
    nameless = attrs.evolve(some, names=("a", nobody, "b", nobody))
    with pytest.raises(
        DataError, match="the gallery: 2 of its 4 templates have no name, like those"
    ):
        identify(nameless.templates, nameless, threshold=0.0)
    with pytest.raises(DataError, match="the new templates: 2 of its 4 templates have no name"):
        enroll(nameless, tmp_path / "g.parquet", model)
    assert list(tmp_path.iterdir()) == []
    write_gallery(nameless, tmp_path / "g.parquet")
    with pytest.raises(DataError, match=r"g\.parquet: 2 of its 4 templates have no name"):
        enroll(some, tmp_path / "g.parquet", model)


def test_a_gallery_of_another_model_is_refused(models, tmp_path):
    write_gallery(gallery(), tmp_path / "g.parquet")
    model = models["m"]
    with pytest.raises(DataError) as caught:
        read_gallery(tmp_path / "g.parquet").require(model, "g.parquet")
    assert str(caught.value) == (
        f"g.parquet: is from another model: its templates have the fingerprint ffffffffffff, "
        f"those of {model.folder.path} have {model.fingerprint[:12]}, so scores between them are "
        f"meaningless; enroll the images again with this model, or use the gallery's model"
    )


def brute_force(probe, people, top):
    """The best people by their best template, one by one."""
    best = {}
    for name, own in zip(people.names, people.templates, strict=True):
        best[name] = max(best.get(name, -2.0), float(probe @ own))
    return sorted(best.items(), key=lambda item: -item[1])[:top]


@pytest.mark.parametrize("index", [ExactIndex, FaissIndex])
@pytest.mark.parametrize("top", [1, 3, 9, 50])
def test_the_best_people_are_those_of_brute_force(index, top):
    people = gallery()
    probes = F.normalize(torch.randn(25, ORIGIN.size), dim=1)
    answers = identify(probes, people, threshold=0.8, top=top, index=index)
    for probe, answer in zip(probes, answers, strict=True):
        expected = brute_force(probe, people, top)
        assert [one.name for one in answer.candidates] == [name for name, _ in expected]
        scores = [score for _, score in expected]
        assert [one.score for one in answer.candidates] == pytest.approx(scores, abs=1e-5)
        assert answer.known is (expected[0][1] >= 0.8)
        assert answer.name == (expected[0][0] if answer.known else None)
        shown = people.templates[people.files.index(answer.candidates[0].file)]
        assert float(probe @ shown) == pytest.approx(expected[0][1], abs=1e-5)


def test_a_threshold_that_is_met_exactly_is_met():
    people = gallery(1)
    (answer,) = identify(people.templates[:1] * 0 + 1, people, threshold=-9.0)
    score = answer.candidates[0].score
    (again,) = identify(people.templates[:1] * 0 + 1, people, threshold=score)
    assert again.known


def test_an_empty_gallery_and_no_candidates_are_refused():
    with pytest.raises(DataError, match="the gallery is empty; enroll a person first"):
        identify(torch.zeros(1, ORIGIN.size), gallery(0), threshold=0.5)
    with pytest.raises(DataError, match="top: got 0, expected 1 or more"):
        identify(torch.zeros(1, ORIGIN.size), gallery(), threshold=0.5, top=0)


def test_without_faiss_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "faiss", None)
    with pytest.raises(MissingExtraError) as caught:
        FaissIndex(torch.zeros(2, 3))
    assert str(caught.value) == (
        "the index 'faiss' needs FAISS, which is not installed; run "
        "`pip install 'mtlkit-face[faiss]'`, or use the index 'exact'"
    )


def test_names_come_from_folders_a_table_or_are_given(tmp_path):
    files = [tmp_path / "ann/1.png", tmp_path / "bob/2.png"]
    assert names_of(files) == ("ann", "bob")
    assert names_of(files, name="cid") == ("cid", "cid")
    table = tmp_path / "names.csv"
    table.write_text("file,name\nann/1.png,Ann A.\nbob/2.png,Bob\n", encoding="utf-8")
    assert names_of(files, table=table) == ("Ann A.", "Bob")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,who\na,b\n", "got the columns file, who, expected file and name"),
        ("", "got the columns .none., expected file and name"),
        ("file,name\nann/1.png,\n", "has no name for 1 of 1 images, such as .*add a line for"),
    ],
)
def test_a_table_that_names_nobody_is_refused(tmp_path, text, message):
    table = tmp_path / "names.csv"
    table.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        names_of([tmp_path / "ann/1.png"], table=table)


def test_a_table_and_a_name_are_one_too_many(tmp_path):
    with pytest.raises(DataError, match="got --name and --table, expected one of them"):
        names_of([], name="a", table=tmp_path)
    with pytest.raises(DataError, match="--name: got an empty name, expected the name of a person"):
        names_of([], name=" ")
    with pytest.raises(DataError, match="cannot be read as a table"):
        names_of([tmp_path / "a.png"], table=tmp_path / "none.csv")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_damaged_gallery_is_never_read_as_another(tmp_path, suffix):
    whole, path = gallery(12), tmp_path / f"g{suffix}"
    write_gallery(whole, path)
    content, random = path.read_bytes(), Random(0)
    refused = 0
    for _ in range(150):
        damaged = bytearray(content)
        damaged[random.randrange(len(content))] ^= 1 << random.randrange(8)
        path.write_bytes(damaged if random.random() < 0.8 else damaged[: random.randrange(1000)])
        try:
            found = read_gallery(path)
        except DataError:
            refused += 1
            continue
        assert torch.equal(found.templates, whole.templates)
        for field in ("files", "names", "origin"):
            assert getattr(found, field) == getattr(whole, field)
    assert refused > 100


def test_a_gallery_is_on_disk_before_it_replaces_another(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (calls.append("fsync"), fsync(handle)))
    monkeypatch.setattr(
        Path, "replace", lambda path, other: (calls.append("replace"), replace(path, other))
    )
    write_gallery(gallery(3), tmp_path / "g.parquet")
    assert calls == ["fsync", "replace", "fsync"]
