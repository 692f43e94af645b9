"""The recipe for faces in the wild, whole: align, label by a network, train with mirror images."""

import csv
from pathlib import Path

import numpy as np
from mtlkit_face.commands import RECIPES
from PIL import Image

from mtlkit import fit, load_catalog, load_recipe


def test_it_trains_on_labelled_faces_and_their_mirror_images(tmp_path):
    random = np.random.default_rng(0)
    rows = [("file", "pose", "posterior")]
    for subject in "abc":
        (tmp_path / "faces" / subject).mkdir(parents=True)
        for number, pose in enumerate(["left", "front", "right", ""]):
            name = f"{subject}/{number}.png"
            pixels = random.integers(0, 256, (32, 32), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "faces" / name)
            rows.append((name, pose, "0.95"))
    with (tmp_path / "faces/poses.csv").open("w", newline="") as table:
        csv.writer(table).writerows(rows)
    small = (f"data.folder={tmp_path / 'faces'}", "data.size=32", "backbone.width=0.1",
             "data.validation=0.25", "train.epochs=1", "train.device=cpu", "train.precision=fp32",
             "evaluation=[]")  # fmt: skip
    recipe = load_recipe(RECIPES / "casia-p-cnn.yaml", load_catalog("face"), small)
    run = fit(recipe, Path(tmp_path / "run"), quiet=True)
    assert run.metrics["train/identity/labels"] == 3 * 3 * 2
    assert 0 < run.metrics["train/pose/labels"] < 3 * 3 * 2
