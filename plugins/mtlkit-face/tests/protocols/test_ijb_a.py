"""IJB-A: tables, templates and media, faces in shared pictures, and edge cases."""

import csv
import re

import attrs
import numpy as np
import pytest
from mtlkit_face.protocols.mode import Mode
from mtlkit_face.protocols.templates.ijb_a import IJBA
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
    return IJBA(
        images=sets / "ijb-a/aligned",
        protocol=sets / "ijb-a",
        **{"splits": 2, "replicates": 50, **options},
    )


def boxed(sets, **options):
    return IJBA(images=sets / "ijb-a", margin=0.0, **{"splits": 2, "replicates": 50, **options})


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
    assert sum(len(template.sightings) for template in split.verify.values()) == len(rows)
    for row in rows:
        template = split.verify[int(row["TEMPLATE_ID"])]
        assert template.subject == int(row["SUBJECT_ID"])
        indices = [i for i, s in enumerate(template.sightings) if s.sighting == row["SIGHTING_ID"]]
        assert [template.media[i] for i in indices] == [row["MEDIA_ID"]]
    lines = (sets / "ijb-a" / VERIFY / "verify_comparisons_1.csv").read_text().split()
    assert [f"{a},{b}" for a, b in split.comparisons.tolist()] == lines
    gallery = {template.subject for template in split.gallery.values()}
    probes = {template.subject for template in split.probes.values()}
    assert gallery < probes  # some probes have no mate


def test_a_face_in_a_shared_picture_is_found_by_its_sighting(sets):
    templates = config(sets).template_set()
    assert all(picture.source is not None for picture in templates.sightings.pictures)
    for split in templates.splits:
        for row in split.sightings():
            picture = templates.sightings.pictures[templates.sightings.index(row)]
            stem = row.file.partition(".")[0]
            name = f"{stem}_{row.sighting}" if row.file.startswith("img") else stem
            assert picture.source.with_suffix("").as_posix().endswith(f"aligned/{name}")


def test_a_box_is_cut_out_of_a_shared_picture(sets):
    templates = boxed(sets).template_set()
    lefts = {picture.box.left for picture in templates.sightings.pictures}
    assert lefts == {0.0, 32.0}
    assert all(picture.box.width == 32
               for picture in templates.sightings.pictures)  # fmt: skip


def test_boxes_and_aligned_copies_show_the_same_faces(sets, model):
    one, other = (
        protocol.outcome(model).results["media-mean"].measures["eer"].value
        for protocol in (config(sets), boxed(sets))
    )
    assert one == pytest.approx(other, abs=0.1)  # up to JPEG artifacts


def test_folders_may_have_their_other_names(sets):
    for name in ("img", "frame"):
        other = {"img": "images", "frame": "frames"}[name]
        (sets / "ijb-a/aligned" / name).rename(sets / "ijb-a/aligned" / other)
    assert config(sets).template_set().sightings.pictures[0].source.is_file()


def test_a_shared_picture_without_its_aligned_face_is_a_failure(sets):
    """The aligned face of the other person must not replace it."""
    image = next((sets / "ijb-a/aligned/img").iterdir())
    name, _, sighting = image.stem.partition("_")
    image.rename(image.with_name(f"{name}.jpg"))
    refused(
        config(sets).verify,
        f"ijb-a: 1 picture cannot be used: img/{name}.jpg, sighting {sighting} is missing (the "
        f"picture has several people; expected img/{name}_{sighting}.jpg). The set is incomplete. "
        f"Complete it, or set `count_failures: true` to count them as never matched",
    )


def test_an_empty_box_is_part_of_the_set_and_counted(sets, model):
    """Strict counts empty boxes, which the official tables have."""

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


def test_a_template_without_a_picture_still_counts(sets, model):
    everything = config(sets, count_failures=True)
    before = everything.outcome(model).results["media-mean"]
    for image in (sets / "ijb-a/aligned/img").iterdir():
        image.unlink()
    after = everything.outcome(model).results["media-mean"]
    assert (after.n_genuine, after.n_impostor) == (before.n_genuine, before.n_impostor)
    names = [picture.name for picture in everything.template_set().sightings.pictures]
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
    split = read_splits(sets / "ijb-a")[0]
    assert [s for t in split.verify.values() for s in t.media] == [
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
            "expected two templates, got '1;2'",
        ),
        (
            f"{SEARCH}/search_probe_1.csv",
            lambda text: text.splitlines()[0] + "\nx,1,img/1.jpg,p0,1,,0,0,1,1\n",
            "search_probe_1.csv:2: TEMPLATE_ID: expected a whole number, got 'x'",
        ),
        (
            f"{SEARCH}/search_probe_1.csv",
            lambda text: text.splitlines()[0] + "\n1,1,,p0,1,,0,0,1,1\n",
            "search_probe_1.csv:2: FILE: expected the name of a picture, got an empty field",
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
def test_invalid_tables_are_errors(sets, file, change, message):
    path = sets / "ijb-a" / file
    path.write_text(change(path.read_text()))
    with pytest.raises(DataError, match=re.escape(message)):
        config(sets).verify()


def test_training_subjects_are_not_tested_in_the_same_split(sets):
    path = sets / "ijb-a" / VERIFY / "train_1.csv"
    tested = read_splits(sets / "ijb-a")[0].verify
    subject = next(iter(tested.values())).subject
    path.write_text(path.read_text() + f"9,{subject},img/1.jpg,p,1,,0,0,1,1\n")
    with pytest.raises(DataError, match=r"subjects are also in the verify table of the split"):
        config(sets).verify()


def test_strict_expects_ten_splits_and_no_gap(sets):
    refused(
        attrs.evolve(config(sets), splits=10).verify,
        "ijb-a: expected 10 splits, got 2. Complete the set, or set `splits` of another one, "
        "or `mode: compatible`",
    )
    attrs.evolve(config(sets), splits=10, mode=Mode.COMPATIBLE).verify()
    (sets / "ijb-a" / SEARCH).rename(sets / "ijb-a/IJB-A_1N_sets/split3")
    refused(
        config(sets).verify,
        "ijb-a/IJB-A_1N_sets: expected the folders split1, split2, ... without a gap, got "
        "split2, split3",
    )


def test_well_aligned_pictures_alone_are_pooled(sets, model):
    """A template of a photograph and three frames pools the photograph only."""
    listed = sets / "well.txt"
    listed.write_text("img/1.jpg\nimg/2.jpg\n")
    templates = config(sets, well_aligned=listed).template_set()
    names = {templates.sightings.pictures[index].name.partition(",")[0] for index in templates.well}
    assert names == {"img/1.jpg", "img/2.jpg"}
    shown = {row.file for split in templates.splits for row in split.sightings()}
    assert {"img/1.jpg", "img/2.jpg"} <= shown
    assert len(templates.well) > 2  # all people in them
    listed.write_text("img/1_1.jpg\n")
    templates = config(sets, well_aligned=listed).template_set()
    assert [templates.sightings.pictures[index].name for index in templates.well] == [
        "img/1.jpg, sighting 1"
    ]
    all_photographs = {row.file for split in templates.splits for row in split.sightings()
                       if row.file.startswith("img")}  # fmt: skip
    listed.write_text("\n".join(all_photographs))
    outcome = config(sets, well_aligned=listed).outcome(model)
    forms = [outcome.results[form].measures["eer"].value for form in ("media-mean", "image-mean")]
    assert forms[0] == forms[1]  # without frames both forms are one
    listed.write_text("img/nobody.jpg\n")
    with pytest.raises(
        DataError, match=r"1 lines name no picture of the set, such as 'img/nobody.jpg'"
    ):
        config(sets, well_aligned=listed).verify()


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
    # a medium's frames need not be adjacent
    shuffled = random.permutation(101)
    np.testing.assert_allclose(
        media_mean(rows[shuffled], [media[i] for i in shuffled]), media_mean(rows, media), rtol=1e-4
    )


def test_pictures_are_embedded_once_for_all_splits(sets, model):
    config(sets, batch=5, mirror=False).outcome(model)
    templates = config(sets).template_set()
    rows = {(row.file, row.sighting) for split in templates.splits for row in split.sightings()}
    assert sum(model.batches) == len(rows)
    assert max(model.batches) == 5


def test_measures_are_means_over_splits(sets, model):
    result = config(sets).outcome(model).results["media-mean"]
    for measure in result.measures.values():
        assert len(measure.folds) == 2
        assert measure.value == pytest.approx(np.mean(measure.folds))
    far = result.measures["tar-at-far/0.01"].at
    assert far["achieved-far/1"] <= 0.01
    assert {"threshold/1", "threshold/2", "impostors-allowed/1", "achieved-far/2"} <= set(far)
