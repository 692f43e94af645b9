"""The recipe for faces in the wild, whole: align, label by a network, train with mirror images."""

import csv

import numpy as np
from mtlkit_face.cli import RECIPES
from mtlkit_face.data.alignment import TEMPLATES
from mtlkit_face.data.alignment_folder import align_folder, failure_counts
from mtlkit_face.data.folder import list_folder
from mtlkit_face.data.landmarks import read_landmarks
from mtlkit_face.data.pose_labels import Estimator, estimate_poses, group_matrix
from PIL import Image

from mtlkit import fit, load_catalog, load_recipe
from mtlkit.data import Frame, Similarity, warp

GRAY = TEMPLATES["100-gray"]
POSES = {"0": "left", "1": "front", "2": "right", "3": ""}  # of the pictures by their names
UPSIDE_DOWN = Similarity(1.2 * np.exp(3j), 130 + 115j, 0.0)


def photographs(folder):
    """Three subjects, four photographs each, upside down: a third of the face is lit, or none."""
    random = np.random.default_rng(0)
    lines = []
    for subject in "abc":
        (folder / subject).mkdir(parents=True)
        for number in POSES:
            face = random.integers(0, 60, (100, 100), np.uint8)
            lit = int(number) * 33
            face[:, lit : lit + 33] += 150 if POSES[number] else 0
            name = f"{subject}/{number}.png"
            warp(Image.fromarray(face), UPSIDE_DOWN, (150, 150)).save(folder / name)
            points = " ".join(f"{each:.3f}" for each in UPSIDE_DOWN(GRAY.points).ravel())
            lines.append(f"{name} {points}")
    (folder / "points.txt").write_text("\n".join(lines))


def network(images):
    """Logits (N, 3) of three yaws: how bright each third of an image is."""
    pixels = images.float()[:, 0, :, :99].unflatten(2, (3, 33))
    return pixels.mean(dim=(1, 3)) / 10


def aside(*_):
    """Progress that nobody looks at."""


def test_photographs_are_aligned_and_labelled_and_trained_on_with_their_mirror_images(tmp_path):
    photographs(tmp_path / "photographs")
    landmarks = read_landmarks(tmp_path / "photographs/points.txt")
    faces = tmp_path / "faces"
    done = align_folder(tmp_path / "photographs", landmarks, GRAY, faces, workers=1, progress=aside)
    assert (len(done), failure_counts(done)) == (12, {})

    estimator = Estimator(network, Frame(100, 100, 1), group_matrix(["-45", "0", "45"]))
    estimate_poses(estimator, list_folder(faces), 0.9, 1, aside).write(faces / "poses.csv")
    with (faces / "poses.csv").open() as table:
        labels = {row["file"]: row["pose"] for row in csv.DictReader(table)}
    assert labels == {f"{subject}/{name}.png": POSES[name] for subject in "abc" for name in POSES}

    small = (f"data.folder={faces}", "data.size=32", "backbone.width=0.1",
             "data.validation=0.25", "train.epochs=1", "train.device=cpu", "train.precision=fp32",
             "evaluators=[]")  # fmt: skip
    recipe = load_recipe(RECIPES / "casia-p-cnn.yaml", load_catalog("face"), small)
    run = fit(recipe, tmp_path / "run", quiet=True)
    assert run.metrics["train/identity/labels"] == 3 * 3 * 2
    assert 0 < run.metrics["train/pose/labels"] < 3 * 3 * 2
