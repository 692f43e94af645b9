"""Originals in the wild: one framing rule for training and use, test splits, unseen identities."""

import csv
import shutil

import attrs
import numpy as np
import pytest
import torch
from mtlkit_face.data.folder import FaceFolder
from mtlkit_face.identification.evaluator import Identification
from mtlkit_face.inference import embed_files, open_model
from mtlkit_face.inference.model import _fingerprint
from PIL import Image

from mtlkit import Recipe, Role, Task, Train, fit, load_catalog, load_recipe
from mtlkit.backbones import MLP
from mtlkit.data import FACE, Boxes, Images, Landmarks, Loading, RandomSplit, decode
from mtlkit.plugins import DataError

SUBJECTS, IMAGES = 6, 4


@pytest.fixture
def folder(tmp_path):
    """Photographs of 60 x 40 pixels with a face of 20 x 20 in each, at another place."""
    rows = [["file", "left", "top", "width", "height", "split"]]
    for subject in range(SUBJECTS):
        face = np.random.default_rng(subject).integers(60, 250, (5, 5)).repeat(4, 0).repeat(4, 1)
        for number in range(IMAGES):
            image = np.random.default_rng((subject, number)).integers(0, 60, (40, 60))
            left, top = 5 + 9 * number, 4 + 2 * subject
            image[top : top + 20, left : left + 20] = face
            name = f"p{subject}/{number}.png"
            (tmp_path / "faces" / f"p{subject}").mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.astype(np.uint8)).save(tmp_path / "faces" / name)
            split = "test" if subject > 3 else ("validation", "train")[number > 0]
            rows.append([name, left, top, 20, 20, split])
    with (tmp_path / "faces/boxes.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return tmp_path / "faces"


def load(source):
    return source.load(Loading(workers=1))


def everything(split):
    return split.inputs[torch.arange(len(split))]


def test_a_photograph_is_cropped_not_squeezed(folder):
    data = load(FaceFolder(folder=folder, size=20))
    original = np.asarray(Image.open(folder / data.train.ids[0]))
    square = Image.fromarray(original[:, 10:50]).resize((20, 20), Image.Resampling.BICUBIC)
    result = everything(data.train)[0, 0].numpy()  # its edges include pixels outside of the square
    difference = np.abs(result.astype(int) - np.asarray(square))[:, 1:-1]
    assert difference.max() <= 1
    assert data.summary["framing"] == "1 of the largest centered square"
    whole = load(FaceFolder(folder=folder, size=20, crop="whole"))
    squeezed = Image.fromarray(original).resize((20, 20), Image.Resampling.BICUBIC)
    assert np.array_equal(everything(whole.train)[0, 0], squeezed)


def test_the_two_sources_read_the_same(folder):
    boxes = Boxes(table=folder / "boxes.csv")
    split = RandomSplit(groups="subject", test=0.34, validation=0.2)
    face = load(FaceFolder(folder=folder, size=20, boxes=boxes, split=split))
    images = load(
        Images(folder=folder, pattern="{subject}/{number}.png", size=20, channels=1, boxes=boxes,
               split=split)
    )  # fmt: skip
    for name, split in face.splits().items():
        assert list(split.ids) == list(images.splits()[name].ids)
        assert torch.equal(everything(split), everything(images.splits()[name]))
        assert split.categorical("subject").names == images.splits()[name].column("subject").names
    column = face.train.categorical("subject")
    for code, image in zip(column.codes, everything(face.train), strict=True):
        subject = int(column.names[code][1:])
        blocks = np.random.default_rng(subject).integers(60, 250, (5, 5))
        assert np.array_equal(image[0, ::4, ::4], blocks)


def test_unseen_identities_are_in_the_test_split_alone(folder):
    split = RandomSplit(groups="subject", test=0.34, validation=0.2)
    data = load(FaceFolder(folder=folder, size=20, split=split, mirror=True))
    train, test = (data.splits()[name].categorical("subject") for name in ("train", "test"))
    assert test.names[:4] == train.names
    assert len(test.names) == SUBJECTS
    assert set(test.codes.tolist()) == {4, 5}
    assert data.open_labels == {"subject"}
    assert data.summary["test images"] == "8 of 2 subjects, 2 unseen"
    assert len(data.test) == 8
    assert len(data.train) == 2 * (16 - len(data.validation))
    with pytest.raises(ValueError, match="expected one of `split` and `validation`"):
        FaceFolder(folder=folder, split=split, validation=0.1)
    with pytest.raises(ValueError, match="split: got the label 'yaw', expected subject"):
        FaceFolder(folder=folder, split=RandomSplit(groups="yaw"))


def test_a_table_names_the_split(folder):
    data = load(FaceFolder(folder=folder, size=20, labels=folder / "boxes.csv"))
    assert [len(split) for split in data.splits().values()] == [12, 4, 8]
    assert {name[:2] for name in data.test.ids} == {"p4", "p5"}


def test_images_without_a_region_are_named(folder):
    (folder / "p0/new.png").write_bytes((folder / "p0/0.png").read_bytes())
    source = FaceFolder(folder=folder, size=20, boxes=Boxes(table=folder / "boxes.csv"))
    with pytest.raises(DataError, match=r"p0/new.png: has no row in boxes.csv"):
        load(source)
    assert len(load(attrs.evolve(source, skip_bad=True)).train) == SUBJECTS * IMAGES


@pytest.fixture
def run(folder, tmp_path):
    """A run on faces cut out by boxes, with unseen people in its test split."""
    recipe = Recipe(
        data=FaceFolder(
            folder=folder,
            size=20,
            boxes=Boxes(table=folder / "boxes.csv", margin=0.1),
            split=RandomSplit(groups="subject", test=0.34, validation=0),
        ),
        backbone=MLP(hidden=(16,)),
        tasks={"identity": Task(role=Role.MAIN, target="subject")},
        train=Train(epochs=3, batch=8, threads=1, device="cpu"),
        evaluators=(Identification(gallery={}),),
    )
    fit(recipe, tmp_path / "run", loading=Loading(workers=1), quiet=True)
    return tmp_path / "run"


def test_use_frames_as_training_did(run, folder, tmp_path):
    model = open_model(run)
    files = [folder / "p0/0.png", folder / "p5/3.png"]
    embedded = embed_files(model, files, table=folder / "boxes.csv")
    data = load_recipe(run / "recipe.yaml", load_catalog()).data
    frame = data.frame
    regions, _ = data.boxes.regions(folder / "boxes.csv", ["p0/0.png", "p5/3.png"], frame)
    pixels = [decode(f, frame, region=r) for f, r in zip(files, regions, strict=True)]
    expected = model.embed(torch.from_numpy(np.stack(pixels)))
    assert torch.equal(embedded.templates, expected)
    assert not torch.allclose(embed_files(model, files).templates, expected)
    shutil.copy(folder / "p0/0.png", folder / "p0/unlisted.png")
    missing = embed_files(model, [*files, folder / "p0/unlisted.png"], table=folder / "boxes.csv")
    assert missing.unreadable == ((folder / "p0/unlisted.png", "has no row in boxes.csv"),)


def test_another_framing_is_warned_of(run, folder, tmp_path, capsys):
    from mtlkit.cli import main

    def embed(*options):
        with pytest.raises(SystemExit):
            main(["face", "embed", str(run), str(folder / "p0"), *map(str, options)])
        return " ".join(capsys.readouterr().err.split())

    output = embed("--out", tmp_path / "a.parquet")
    assert (
        "warning: the run's images were cut out by `boxes`, and these are taken as cut out"
        in output
    )
    output = embed("--out", tmp_path / "b.parquet", "--regions", folder / "boxes.csv")
    assert "cut out" not in output


def test_brightness_and_contrast_leave_standardized_templates_as_they_are(folder, tmp_path):
    recipe = Recipe(
        data=FaceFolder(folder=folder, size=20, standardize=True),
        backbone=MLP(hidden=(16,)),
        tasks={"identity": Task(role=Role.MAIN, target="subject")},
        train=Train(steps=1, batch=8, threads=1, device="cpu"),
    )
    fit(recipe, tmp_path / "standardized", loading=Loading(workers=1), quiet=True)
    model = open_model(tmp_path / "standardized")
    images = 2 * torch.randint(128, (3, 1, 20, 20), dtype=torch.uint8)
    templates = model.embed(images)
    torch.testing.assert_close(model.embed(images // 2 + 60), templates, rtol=1e-4, atol=1e-5)

    digests = model.fingerprint, model.preprocessing
    network = model.embedder.network
    inputs = attrs.evolve(network.assembly.inputs, standardize=False)
    network.assembly = attrs.evolve(network.assembly, inputs=inputs)
    assert _fingerprint(network, model.task, model.weights) != digests[0]
    assert model.preprocessing != digests[1]


def test_landmarks_of_another_run_are_refused(run, folder, tmp_path):
    table = tmp_path / "points.csv"
    names = [f"{name}_{axis}" for name in FACE for axis in "xy"]
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([["file", *names], ["p0/0.png", *range(10)]])
    with pytest.raises(DataError, match="got no column 'left', expected file, left, top"):
        embed_files(open_model(run), [folder / "p0/0.png"], table=table)
    faces = FaceFolder(folder=folder, landmarks=Landmarks(table=table))
    with pytest.raises(ValueError, match="expected one of `boxes` and `landmarks`, got both"):
        attrs.evolve(faces, boxes=Boxes(table=table))
