"""The recipes with margin heads, tiny, on a RecordIO file of rendered faces."""

import csv

import pytest
import torch
from mtlkit_face.cli import RECIPES
from mtlkit_face.data.folder import list_folder
from mtlkit_face.data.recordio.pack import pack
from mtlkit_face.inference import embed_files, open_model
from mtlkit_synthetic_faces import FaceSet, render_set
from PIL import Image

from mtlkit import fit, load_catalog, load_recipe
from mtlkit.callbacks import StepEvent, read_events

SUBJECTS, IMAGES = 4, 13  # each pose once


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """A folder with RGB faces of 112 px, ``train.rec`` and ``poses.csv``."""
    folder = tmp_path_factory.mktemp("margin")
    faces = FaceSet(subjects=SUBJECTS, images_per_subject=IMAGES, size=112, channels=3, sessions=1)
    rendered = render_set(faces, cache=None, workers=1)
    poses = {}
    for number, (subject, yaw) in enumerate(
        zip(rendered.rows.subject.tolist(), rendered.rows.yaw.tolist(), strict=True)
    ):
        name = f"{subject}/{number:03d}.png"
        (folder / f"faces/{subject}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(rendered.images[number].transpose(1, 2, 0).copy()).save(
            folder / "faces" / name
        )
        poses[name] = "left" if yaw < -30 else "right" if yaw > 30 else "front"
    listing = list_folder(folder / "faces")
    pack(listing.store, listing.subjects, folder / "train.rec")
    with (folder / "poses.csv").open("w", newline="") as file:
        rows = enumerate((poses[name] for name in listing.ids), start=1)
        csv.writer(file).writerows([("file", "pose"), *rows])
    return folder


@pytest.mark.parametrize("name", ["arcface", "adaface-side", "adaface-p-cnn"])
def test_a_recipe_trains_on_records_and_embeds(faces, tmp_path, name):
    small = (
        f"data.file={faces / 'train.rec'}", "backbone.model=test_resnet", "backbone.dropout=0",
        "train.epochs=5", "train.batch=13", "train.device=cpu", "train.precision=fp32",
        "train.threads=1", "train.log_every=1", "optimizer.lr=0.05", "schedule.warmup_steps=2",
        "callbacks=[{type: ema, decay: 0.5}]",
    )  # fmt: skip
    recipe = load_recipe(RECIPES / f"{name}.yaml", load_catalog("face"), small)
    assert recipe.notes() == []
    run = fit(recipe, tmp_path / "run", quiet=True)
    assert run.metrics["train/identity/labels"] == SUBJECTS * IMAGES
    losses = [event.losses["identity"] for event in read_events(tmp_path / "run/log.jsonl")
              if isinstance(event, StepEvent)]  # fmt: skip
    assert losses[-1] < 0.9 * losses[0]
    model = open_model(tmp_path / "run")
    assert model.size == SUBJECTS * (2 if "p-cnn" in name else 1)
    files = sorted((faces / "faces").rglob("*.png"))
    templates = embed_files(model, files).templates
    scores = templates @ templates.T
    same = torch.tensor([[a.parent == b.parent for b in files] for a in files])
    assert scores.diagonal().allclose(torch.ones(len(files)), atol=1e-3) or "p-cnn" in name
    assert scores[same].mean() > scores[~same].mean()
