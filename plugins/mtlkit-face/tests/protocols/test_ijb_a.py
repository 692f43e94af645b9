"""IJB-A: tables, templates and media, faces in shared pictures, and its odd cases."""

import csv
import re

import attrs
import numpy as np
import pytest
from mtlkit_face.protocols.mode import Mode
from mtlkit_face.protocols.templates.ijb_a import IjbA
from mtlkit_face.protocols.templates.ijb_a_tables import read_splits
from mtlkit_face.protocols.templates.pooling import image_mean, media_mean

from mtlkit.plugins import DataError

VERIFY, SEARCH = "IJB-A_11_sets/split1", "IJB-A_1N_sets/split1"


def rewrite(path, change):
    """Change the rows of a table, dictionaries by column."""
    with path.open() as stream:
        rows = list(csv.DictReader(stream))
    columns = list(rows[0])
    rows = [row for row in (change(dict(row)) for row in rows) if row is not None]
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        writer.writerows(rows)


def tables(sets):
    return [*(sets / "ijb-a").glob("IJB-A_1*_sets/split*/*[!s]_?.csv")]


def config(sets, **options):
    return IjbA(images=sets / "ijb-a/aligned", protocol=sets / "ijb-a", **{"splits": 2, **options})


def boxed(sets, **options):
    return IjbA(images=sets / "ijb-a", margin=0.0, **{"splits": 2, **options})


def refused(call, message):
    with pytest.raises(DataError) as caught:
        call()
    assert re.sub(r"[^\s(]*/sets/", "", str(caught.value)) == message


def test_templates_comparisons_and_searches_are_read(sets):
    splits = read_splits(sets / "ijb-a")
    assert [split.number for split in splits] == [1, 2]
    split = splits[0]
    with (sets / "ijb-a" / VERIFY / "verify_metadata_1.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert sum(len(each.sightings) for each in split.verify.values()) == len(rows)
    for row in rows:
        own = split.verify[int(row["TEMPLATE_ID"])]
        assert own.subject == int(row["SUBJECT_ID"])
        places = [i for i, s in enumerate(own.sightings) if s.sighting == row["SIGHTING_ID"]]
        assert [own.media[i] for i in places] == [row["MEDIA_ID"]]
    lines = (sets / "ijb-a" / VERIFY / "verify_comparisons_1.csv").read_text().split()
    assert [f"{a},{b}" for a, b in split.comparisons.tolist()] == lines
    gallery = {each.subject for each in split.gallery.values()}
    probes = {each.subject for each in split.probes.values()}
    assert gallery < probes  # some probes have no mate


def test_a_face_in_a_shared_picture_is_found_by_its_sighting(sets):
    looked = config(sets).template_set()
    assert all(picture.source is not None for picture in looked.sightings.pictures)
    for split in looked.splits:
        for row in split.sightings():
            picture = looked.sightings.pictures[looked.sightings.place(row)]
            stem = row.file.partition(".")[0]
            own = f"{stem}_{row.sighting}" if row.file.startswith("img") else stem
            assert picture.source.with_suffix("").as_posix().endswith(f"aligned/{own}")


def test_a_box_is_cut_out_of_a_shared_picture(sets):
    looked = boxed(sets).template_set()
    lefts = {picture.box.left for picture in looked.sightings.pictures}
    assert lefts == {0.0, 32.0}
    assert all(picture.box.corners()[2] - picture.box.corners()[0] == 32
               for picture in looked.sightings.pictures)  # fmt: skip


def test_boxes_and_aligned_copies_show_the_same_faces(sets, model):
    one, other = (
        each.outcome(model).results["media-mean"].measures["eer"].value
        for each in (config(sets), boxed(sets))
    )
    assert one == pytest.approx(other, abs=0.1)  # but for what JPEG does to them


def test_folders_may_have_their_other_names(sets):
    for name in ("img", "frame"):
        other = {"img": "images", "frame": "frames"}[name]
        (sets / "ijb-a/aligned" / name).rename(sets / "ijb-a/aligned" / other)
    assert config(sets).template_set().sightings.pictures[0].source.is_file()


def test_a_shared_picture_without_its_aligned_face_is_no_face(sets):
    """The one face of it that is there must not be taken for the other."""
    image = next((sets / "ijb-a/aligned/img").iterdir())
    name, _, sighting = image.stem.partition("_")
    image.rename(image.with_name(f"{name}.jpg"))
    refused(
        config(sets).look,
        f"ijb-a: 1 picture cannot be used: img/{name}.jpg, sighting {sighting} is missing (several "
        f"people are in it: expected img/{name}_{sighting}.jpg). The set is incomplete. Complete "
        f"it, or set `count_failures: true` to count them as recognised by nobody",
    )


def test_an_empty_box_is_part_of_the_set_and_counted(sets, model):
    """Strict does not refuse what the official tables have: it counts it."""

    def emptied(row):
        return {**row, "FACE_X": ""} if row["FILE"].startswith("img/1.") else row

    for path in tables(sets):
        rewrite(path, emptied)
    outcome = boxed(sets).outcome(model)
    result = outcome.results["media-mean"]
    assert result.failures == 2
    assert set(result.failed.values()) == {"has an empty face box"}
    assert all("img/1.jpg" in name for name in result.failed)
    # an aligned copy needs no box
    assert config(sets).outcome(model).results["media-mean"].failures == 0


def test_a_template_without_a_picture_is_no_dropped_pair(sets, model):
    everything = config(sets, count_failures=True)
    before = everything.outcome(model).results["media-mean"]
    for image in (sets / "ijb-a/aligned/img").iterdir():
        image.unlink()
    after = everything.outcome(model).results["media-mean"]
    assert (after.n_genuine, after.n_impostor) == (before.n_genuine, before.n_impostor)
    names = [each.name for each in everything.template_set().sightings.pictures]
    assert after.failures == sum(name.startswith("img") for name in names)
    assert after.measures["eer"].value == pytest.approx(1 - 1 / 3, abs=0.2)
    # templates of photographs alone match nobody: two of three genuine pairs have one
    for name in ("tar-at-far/0.01", "rank-5"):
        assert after.measures[name].value <= 1 / 2


def test_columns_may_be_in_any_order_and_case_and_cells_empty(sets):
    expected = read_splits(sets / "ijb-a")[0]
    for path in tables(sets):
        lines = [line.split(",") for line in path.read_text().splitlines()]
        turned = [",".join(reversed(line)) for line in lines]
        path.write_text("\n".join([turned[0].lower().replace(",", " , "), "", *turned[1:]]) + "\n")
    found = read_splits(sets / "ijb-a")[0]
    assert [s for t in found.verify.values() for s in t.media] == [
        s for t in expected.verify.values() for s in t.media
    ]


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        (
            f"{VERIFY}/verify_metadata_1.csv",
            lambda text: text.replace("MEDIA_ID", "MEDIUM", 1),
            "verify_metadata_1.csv:1: has no column MEDIA_ID; it has: TEMPLATE_ID, SUBJECT_ID, "
            "FILE, MEDIUM, SIGHTING_ID, FRAME, FACE_X, FACE_Y, FACE_WIDTH, FACE_HEIGHT",
        ),
        (
            f"{VERIFY}/verify_metadata_1.csv",
            lambda text: text.replace("img/", "../../img/", 1),
            "leaves the folder of the set",
        ),
        (
            f"{VERIFY}/verify_comparisons_1.csv",
            lambda text: text + "1,99999\n",
            "the template 99999 is not in the split's metadata",
        ),
        (
            f"{VERIFY}/verify_comparisons_1.csv",
            lambda text: text + "1;2\n",
            "expected two templates, found '1;2'",
        ),
        (
            f"{SEARCH}/search_probe_1.csv",
            lambda text: text.splitlines()[0] + "\nx,1,img/1.jpg,p0,1,,0,0,1,1\n",
            "search_probe_1.csv:2: TEMPLATE_ID: expected a whole number, found 'x'",
        ),
        (
            f"{SEARCH}/search_probe_1.csv",
            lambda text: text.splitlines()[0] + "\n1,1,,p0,1,,0,0,1,1\n",
            "search_probe_1.csv:2: FILE: expected the name of a picture, found an empty field",
        ),
        (
            f"{SEARCH}/search_probe_1.csv",
            lambda text: text.splitlines()[0] + "\n1,1,a,p,1,,0,0,1,1\n1,2,b,p,2,,0,0,1,1\n",
            "search_probe_1.csv:3: the template 1 is of the subject 1 and of 2",
        ),
        (
            f"{SEARCH}/search_gallery_1.csv",
            lambda text: text.splitlines()[0] + "\n1,777,img/1.jpg,p,1,,0,0,1,1\n",
            "ijb-a: no probe of split 1 has its subject in the gallery",
        ),
        (
            f"{SEARCH}/search_gallery_1.csv",
            lambda text: text.splitlines()[0] + "\n",
            "search_gallery_1.csv: has no template",
        ),
    ],
)
def test_tables_that_are_none_are_refused(sets, file, change, message):
    path = sets / "ijb-a" / file
    path.write_text(change(path.read_text()))
    with pytest.raises(DataError, match=re.escape(message)):
        config(sets).look()


def test_who_is_trained_on_is_not_tested_in_the_same_split(sets):
    path = sets / "ijb-a" / VERIFY / "train_1.csv"
    tested = read_splits(sets / "ijb-a")[0].verify
    subject = next(iter(tested.values())).subject
    path.write_text(path.read_text() + f"9,{subject},img/1.jpg,p,1,,0,0,1,1\n")
    with pytest.raises(DataError, match=r"subjects are in the verify table of the same split too"):
        config(sets).look()


def test_strict_wants_ten_splits_and_no_gap(sets):
    refused(
        attrs.evolve(config(sets), splits=10).look,
        "ijb-a: expected 10 splits, found 2. Complete the set, or for another one say its "
        "`splits`, or set `mode: compatible`",
    )
    attrs.evolve(config(sets), splits=10, mode=Mode.COMPATIBLE).look()
    (sets / "ijb-a" / SEARCH).rename(sets / "ijb-a/IJB-A_1N_sets/split3")
    refused(
        config(sets).look,
        "ijb-a/IJB-A_1N_sets: expected the folders split1, split2, ... without a gap, found "
        "split2, split3",
    )


def test_well_aligned_pictures_alone_are_pooled(sets, model):
    """A template of a photograph and three frames becomes one of the photograph."""
    listed = sets / "well.txt"
    listed.write_text("img/1.jpg\nimg/2.jpg\n")
    looked = config(sets, well_aligned=listed).template_set()
    names = {looked.sightings.pictures[place].name.partition(",")[0] for place in looked.well}
    assert names == {"img/1.jpg", "img/2.jpg"}
    shown = {each.file for split in looked.splits for each in split.sightings()}
    assert {"img/1.jpg", "img/2.jpg"} <= shown
    assert len(looked.well) > 2  # all who are in them
    listed.write_text("img/1_1.jpg\n")
    looked = config(sets, well_aligned=listed).template_set()
    assert [looked.sightings.pictures[place].name for place in looked.well] == [
        "img/1.jpg, sighting 1"
    ]
    all_photographs = {row.file for split in looked.splits for row in split.sightings()
                       if row.file.startswith("img")}  # fmt: skip
    listed.write_text("\n".join(all_photographs))
    found = config(sets, well_aligned=listed).outcome(model)
    forms = [found.results[form].measures["eer"].value for form in ("media-mean", "image-mean")]
    assert forms[0] == forms[1]  # without frames both forms are one
    listed.write_text("img/nobody.jpg\n")
    with pytest.raises(DataError, match=r"1 lines name no picture of the set, 'img/nobody.jpg'"):
        config(sets, well_aligned=listed).look()


def test_a_video_counts_once_as_a_medium():
    random = np.random.default_rng(0)
    frames, photo = random.normal(size=(100, 4)), random.normal(size=(1, 4))
    rows = np.concatenate([frames, photo]).astype(np.float32)
    media = ["video"] * 100 + ["photo"]
    expected = (frames.mean(0) + photo[0]) / 2
    np.testing.assert_allclose(
        media_mean(rows, media), expected / np.linalg.norm(expected), rtol=1e-5
    )
    every = rows.mean(0)
    np.testing.assert_allclose(image_mean(rows, media), every / np.linalg.norm(every), rtol=1e-5)
    # a medium's frames need not stand together
    shuffled = random.permutation(101)
    np.testing.assert_allclose(
        media_mean(rows[shuffled], [media[i] for i in shuffled]), media_mean(rows, media), rtol=1e-4
    )


def test_pictures_are_embedded_once_for_all_splits(sets, model):
    config(sets, batch=5, mirror=False).outcome(model)
    looked = config(sets).template_set()
    rows = {(row.file, row.sighting) for split in looked.splits for row in split.sightings()}
    assert sum(model.batches) == len(rows)
    assert max(model.batches) == 5


def test_each_split_is_judged_apart(sets, model):
    result = config(sets).outcome(model).results["media-mean"]
    for measure in result.measures.values():
        assert len(measure.folds) == 2
        assert measure.value == pytest.approx(np.mean(measure.folds))
    far = result.measures["tar-at-far/0.01"].at
    assert far["achieved-far/1"] <= 0.01
    assert {"threshold/1", "threshold/2", "impostors-allowed/1", "achieved-far/2"} <= set(far)
