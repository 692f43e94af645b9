"""The commands on small runs: what they say, what they write, and what they refuse."""

import json
import shutil

import pytest
import torch
from mtlkit_face.inference import embed_files, read_gallery, threshold_of

from mtlkit.plugins import DataError
from mtlkit.runs import read_json, write_json

ALIGNED = (
    "note: faces are not detected: each image must show one face, aligned as in training; it is "
    "resized to 32 x 32 pixels"
)


@pytest.fixture
def gallery(face, runs, people, tmp_path):
    """Everybody enrolled in the p-CNN with his neutral frontal face."""
    path = tmp_path / "gallery.parquet"
    images = sorted(people.glob("*/*_0_neutral.png"))
    code, said = face("enroll", runs["p"], path, *images)
    assert code == 0, said
    assert "8 images of 8 people enrolled; " in said
    assert ALIGNED in said
    return path


def test_embed_writes_templates_and_lists_what_it_left_out(face, runs, models, people, tmp_path):
    folder = tmp_path / "some"
    shutil.copytree(people / "p1", folder)
    (folder / "bad.jpg").write_bytes(b"junk")
    (folder / "labels.csv").touch()
    shutil.copy(next(folder.glob("*.png")), folder / "caf\udce9.png")
    code, said = face("embed", runs["m"], folder, "--out", tmp_path / "t.safetensors")
    assert code == 0
    assert ALIGNED in said
    assert (
        f"warning: 1 files without the suffix of an image are skipped: {folder / 'labels.csv'}"
        in said
    )
    assert (
        f"warning: 2 files could not be read and are skipped: {folder / 'bad.jpg'}: is not an "
        f"image of a supported format" in said
    )
    assert rf"{folder}/caf\udce9.png: its path is not UTF-8; rename it" in said
    found = read_gallery(tmp_path / "t.safetensors")
    assert len(found) == 6
    expected = embed_files(models["m"], sorted(folder.glob("[0-9]*.png")))
    assert torch.equal(found.templates, expected.templates)
    assert set(found.names) == {""}


@pytest.mark.parametrize("name", ["s", "p"])
def test_verify_says_score_threshold_and_where_it_comes_from(face, runs, models, people, name):
    a, b = people / "p0/0_0_neutral.png", people / "p1/1_0_neutral.png"
    found = embed_files(models[name], [a, b]).templates
    metrics = json.loads((runs[name] / "evaluation.json").read_text())["metrics"]
    least, rate = metrics["face/threshold"], metrics["face/eer"]
    code, said = face("verify", runs[name], a, b)
    score = float(found[0] @ found[1])
    assert code == 0
    shown, _, rest = said.removeprefix("score ").partition(" ")
    assert float(shown) == pytest.approx(score, abs=2e-4)  # batches of two and of one differ
    assert rest.startswith(f"threshold {least:.4f} ")
    assert f"(equal error on the run's test split, rate {rate:.3f}; the threshold was" in said
    assert ("verdict one person" in said) is (score >= least)
    for given, verdict in ((score - 0.01, "one person"), (score + 0.01, "two people")):
        _, said = face("verify", runs[name], a, b, "--threshold", given)
        assert f"{given:.4f} (given) verdict {verdict}" in said


def test_verify_refuses_what_is_no_image(face, runs, people, tmp_path):
    good = people / "p0/0_0_neutral.png"
    (tmp_path / "bad.png").write_bytes(b"junk")
    for path, message in {
        tmp_path / "bad.png": "is not an image of a supported format; expected an image file",
        tmp_path: "is a folder; expected one image",
        tmp_path / "none.png": "no such file; expected an image",
    }.items():
        code, said = face("verify", runs["s"], good, path)
        assert code == 2
        assert f"mtlkit: error: {path}: {message}" in said


def test_identify_finds_those_who_are_enrolled(face, runs, people, gallery):
    image = people / "p3/3_0_neutral.png"
    for index in ("exact", "faiss"):
        options = ("--top", 2, "--index", index)
        code, said = face("identify", runs["p"], gallery, image, *options)
        assert code == 0
        assert f"{image}: p3 " in said
        assert said.count("p3/3_0_neutral.png") == 2  # the image, and the one it is like
        _, said = face("identify", runs["p"], gallery, image, *options, "--threshold", 1.5)
        assert f"{image}: unknown" in said
        assert said.count("below the threshold") == 2


def test_enrolling_again_replaces(face, runs, people, gallery):
    code, said = face("enroll", runs["p"], gallery, people / "p3")
    assert code == 0
    assert "6 images of 1 people enrolled, 1 of them again; " in said
    assert "has 13 images of 8 people" in said
    assert read_gallery(gallery).people()["p3"] == 6


def test_a_gallery_of_another_model_is_refused_before_any_work(face, runs, people, gallery):
    before = gallery.read_bytes()
    for command in ("identify", "enroll"):
        options = ("--threshold", 0) if command == "identify" else ()
        code, said = face(command, runs["m"], gallery, people, *options)
        assert code == 2
        assert "is from another model" in said
        assert ALIGNED not in said
    assert gallery.read_bytes() == before
    code, said = face("enroll", runs["p"], gallery, people, "--routing", "best")
    assert code == 2
    assert "is from another model" in said


def test_one_image_is_one_however_it_is_spelled(face, runs, people, tmp_path, monkeypatch):
    shutil.copytree(people / "p1", tmp_path / "faces/p1")
    (tmp_path / "elsewhere").mkdir()
    gallery = tmp_path / "faces/people.parquet"
    first = tmp_path / "faces/p1/1_0_neutral.png"
    monkeypatch.chdir(tmp_path)
    code, said = face("enroll", runs["s"], gallery, "faces/p1/../p1/1_0_neutral.png", first)
    assert code == 0
    assert "1 images of 1 people enrolled; " in said
    for folder, spelled, home in (
        ("faces", "p1/1_0_neutral.png", "people.parquet"),
        ("elsewhere", "../faces/p1/1_0_neutral.png", "../elsewhere/../faces/people.parquet"),
        ("faces/p1", "1_0_neutral.png", gallery),
        ("faces/p1", first, "../people.parquet"),
    ):
        monkeypatch.chdir(tmp_path / folder)
        code, said = face("enroll", runs["s"], home, spelled)
        assert code == 0
        assert "1 of them again" in said
        assert read_gallery(gallery).files == ("p1/1_0_neutral.png",)


def test_templates_without_names_identify_nobody(face, runs, people, tmp_path):
    out, image = tmp_path / "t.parquet", people / "p1/1_0_neutral.png"
    for _ in range(2):  # templates of no names may be made anew
        assert face("embed", runs["s"], people / "p1", "--out", out)[0] == 0
    before = out.read_bytes()
    for command in ("identify", "enroll"):
        code, said = face(command, runs["s"], out, image)
        assert code == 2
        assert said == (
            f"mtlkit: error: {out}: 6 of its 6 templates have no name, like those of `mtlkit "
            f"face embed`; create a gallery of people in another file with `mtlkit face enroll`"
        )
    assert out.read_bytes() == before


def test_embed_overwrites_no_gallery_of_people(face, runs, people, gallery):
    before = gallery.read_bytes()
    code, said = face("embed", runs["p"], people, "--out", gallery)
    assert code == 2
    assert said == (
        f"mtlkit: error: {gallery}: is a gallery of 8 people from `mtlkit face enroll`, and "
        f"would be lost; choose another file with --out, or delete it first"
    )
    assert gallery.read_bytes() == before
    gallery.write_bytes(b"of somebody else")
    code, said = face("embed", runs["p"], people, "--out", gallery)
    assert code == 2
    assert "cannot be read as templates" in said
    assert gallery.read_bytes() == b"of somebody else"


def test_where_nothing_can_be_read_nothing_is_written(face, runs, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"junk")
    code, said = face("embed", runs["s"], tmp_path, "--out", tmp_path / "t.parquet")
    assert code == 2
    assert "none of 1 images could be read; nothing was written" in said
    assert not (tmp_path / "t.parquet").exists()


def test_a_wrong_suffix_is_told_before_the_work(face, runs, people, tmp_path):
    for arguments in (
        ("embed", runs["s"], people, "--out", tmp_path / "t.npz"),
        ("enroll", runs["s"], tmp_path / "t.npz", people),
        ("export", runs["s"], "--out", tmp_path / "t.pt"),
    ):
        code, said = face(*arguments)
        assert code == 2
        assert "expected a name that ends in .onnx" in said or ".parquet or .safetensors" in said
        assert ALIGNED not in said


def test_export_writes_the_card_beside_it(face, runs, people, tmp_path):
    out = tmp_path / "model.onnx"
    options = ("--out", out, "--check", people / "p1", "--check", people / "p2")
    code, said = face("export", runs["s"], *options, "--license", "CC0 1.0")
    assert code == 0
    for what in ("1 image of noise", "7 images of noise", "12 given images"):
        assert f"{what}: onnxruntime differs from PyTorch by" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.md", "model.onnx"]
    assert "| weights | CC0 1.0 |" in (tmp_path / "model.md").read_text(encoding="utf-8")


def test_card_is_written_into_the_run(face, runs):
    code, said = face("card", runs["m"])
    assert code == 0
    assert (runs["m"] / "model-card.md").read_text(encoding="utf-8").startswith("# Model card: m\n")
    assert "model-card.md" in said


def test_energy_writes_a_page_of_a_run_that_was_not_asked(face, runs, tmp_path):
    page = tmp_path / "energy.html"
    code, said = face("energy", runs["m"], "--out", page, "--cache", tmp_path)
    assert code == 0, said
    assert "face/energy/probe/yaw/x-lower" in said
    assert "Energy of the weights" in page.read_text(encoding="utf-8")
    metrics = json.loads(page.with_suffix(".json").read_text())["metrics"]
    rank1 = json.loads((runs["m"] / "evaluation.json").read_text())["metrics"]["face/rank1"]
    assert metrics["face/energy/rank1/y"] == pytest.approx(rank1)
    assert "face/rank1" not in metrics


def without_threshold(run, folder):
    """A copy of a run, evaluated before there were thresholds."""
    shutil.copytree(run, folder)
    evaluation = read_json(folder / "evaluation.json")
    del evaluation["metrics"]["face/threshold"]
    write_json(folder / "evaluation.json", evaluation)
    return folder


def test_a_threshold_that_is_not_there_or_does_not_suit_must_be_given(runs, tmp_path):
    from mtlkit_face.inference import open_model

    from mtlkit.routers import BranchSelection

    old = open_model(without_threshold(runs["p"], tmp_path / "old"))
    with pytest.raises(DataError, match=r"has no 'face/threshold'; run `mtlkit evaluate .*old`"):
        threshold_of(old)
    with pytest.raises(DataError, match="its threshold was measured with another routing"):
        threshold_of(open_model(runs["p"], routing=BranchSelection.BEST))
    with pytest.raises(DataError, match="no `face/identification` of 'pose' on the validation"):
        threshold_of(open_model(runs["p"], task="pose"))
    given = threshold_of(old, 0.25)
    assert (given.value, given.source) == (0.25, "given")


@pytest.mark.parametrize("command", ["embed", "verify", "enroll", "identify", "export", "card",
                                     "energy"])  # fmt: skip
def test_commands_explain_themselves(face, command):
    code, said = face(command, "--help")
    assert code == 0
    assert f"face {command} [OPTIONS] RUN" in said
