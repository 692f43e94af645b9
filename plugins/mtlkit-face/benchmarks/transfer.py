"""Measure verification on photographs with networks trained on rendered faces alone.

    python benchmarks/transfer.py PHOTOGRAPHS --runs runs/transfer --out transfer.json

PHOTOGRAPHS is a folder with the CMU Face Images at quarter resolution (T. Mitchell, 1997; UCI data
set 124, CC BY 4.0): 624 files of 20 people, 32x30 pixels, such as an2i_left_angry_open_4.pgm. Every
pair of photographs is scored, across poses, expressions and sunglasses, in two ways: by the
templates of the network, and by its features less their mean over the photographs, summed with
those of the mirror images. The mean needs no labels; without it a domain's common part dominates
the scores. Raw pixels are scored in both ways, too.

Photographs are cut to the same square around the mean face, as large as the renderer frames faces.
All networks have the same recipe, budget and people, except the one called ``sitting-long``.
Finished networks in RUNS are not trained again. The rates of the first and the last ten people are
given, too: the options of ``sitting`` were chosen on the first ten.
"""

import argparse
import itertools
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import fmean

import attrs
import numpy as np
import torch
import torch.nn.functional as F
from mtlkit_face.data.rendered import Rendered
from mtlkit_face.identification.template import pixel_template
from mtlkit_face.inference.model import FaceModel, open_model
from mtlkit_face.metrics.roc import roc
from PIL import Image
from torch import Tensor

from mtlkit import Recipe, Role, Task, Train, fit
from mtlkit.backbones import CasiaNet
from mtlkit.data import Loading
from mtlkit.heads import Classification, Head, Margin
from mtlkit.optim import SGD, Cosine
from mtlkit.plugins import MultiTaskModel, write_file
from mtlkit.runs import RunFolder, State

SIDE, CENTER, ROW = 16, 16.0, 16.6
"""Side of the square of a face at zoom 1, its middle column, and the row between eyes and mouth."""

SIZE = 32
PART = 10
"""Number of people on whose photographs options may be chosen; the others are for testing."""

FACES = Rendered(
    size=SIZE,
    subjects=200,
    test_subjects=2,
    images_per_subject=39,
    test_images_per_subject=2,
    sessions=2,
    identity_amplitude=0.36,
    validation=0.0,
)
CAMERA = {
    "jitter_px": 2.0,
    "exposure": 0.3,
    "noise": 0.02,
    "blur": 0.8,
    "style": 2,
    "accessories": 0.5,
    "occlusion": 0.1,
    "degradation": 0.5,
    "jitter_deg": 10.0,
}
SITTING = {
    "sessions": 1,
    "session_variation": 0.0,
    "poses": 15,
    "jitter_deg": 20.0,
    "standardize": True,
}
"""One sitting, as in the photographs: hair and clothes do not change, but the scene does."""


@attrs.frozen(kw_only=True)
class Plan:
    """The faces, the head and the budget of a network."""

    faces: Rendered
    head: Head = Classification()  # noqa: RUF009
    epochs: int = 12
    batch: int = 32
    lr: float = 0.03
    dropout: float = 0.4


WHOLE = attrs.evolve(FACES, **CAMERA, zoom=0.7)
ONE_DAY = attrs.evolve(WHOLE, **SITTING)
PLANS = {
    "default": Plan(faces=FACES),
    "style-2": Plan(faces=WHOLE),
    "style-2-close": Plan(faces=attrs.evolve(FACES, **CAMERA)),
    "sitting": Plan(faces=ONE_DAY),
    "sitting-long": Plan(
        faces=attrs.evolve(ONE_DAY, subjects=1000),
        head=Margin(scale=24.0, angle=0.0, additive=0.2),
        epochs=24,
        batch=64,
        lr=0.05,
        dropout=0.2,
    ),
}
"""`style-2-close` frames faces as the default does, the others show the whole head."""


def recipe(plan: Plan, seed: int) -> Recipe:
    """Return the recipe of one network: identity alone, on the faces of a seed's people."""
    return Recipe(
        data=attrs.evolve(plan.faces, first_subject=10_000 * seed),
        backbone=CasiaNet(width=0.25, dropout=plan.dropout),
        tasks={"identity": Task(role=Role.MAIN, target="subject", head=plan.head)},
        optimizer=SGD(lr=plan.lr, momentum=0.9, weight_decay=5e-4),
        schedule=Cosine(),
        train=Train(
            epochs=plan.epochs,
            batch=plan.batch,
            precision="bf16",
            threads=1,
            clip_norm=5.0 if isinstance(plan.head, Margin) else None,
            test=False,
        ),
        seed=seed,
    )


def photographs(folder: Path, zoom: float) -> tuple[Tensor, list[str], list[str]]:
    """Return the photographs (N, 1, H, W), their people and their poses."""
    files = sorted(folder.glob("*_4.pgm"))
    if not files:
        sys.exit(f"{folder}: got no file *_4.pgm, expected the CMU Face Images")
    side = round(SIDE / zoom)
    left, top = int(CENTER - side / 2 + 0.5), round(ROW - 0.54 * side)
    box = (left, top, left + side, top + side)
    images = [
        Image.open(file).crop(box).resize((SIZE, SIZE), Image.Resampling.BICUBIC) for file in files
    ]
    names = [file.name.split("_") for file in files]
    pixels = torch.from_numpy(np.stack([np.asarray(image) for image in images]))
    return pixels.unsqueeze(1), [name[0] for name in names], [name[1] for name in names]


def features(network: MultiTaskModel, images: Tensor) -> Tensor:
    """Return the shared features (N, D) of images (N, C, H, W)."""
    return network.all_features(images).shared


def centered(function: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Return unit vectors (N, D): values of images plus those of mirror images, less their mean."""
    with torch.inference_mode():
        total = function(images) + function(images.flip(-1))
    return F.normalize(total - total.mean(0), dim=1)


def equal_errors(templates: Tensor, people: list[str], poses: list[str]) -> dict[str, float]:
    """Return the EER of all pairs, of ten people each, and of the pairs of each two poses."""
    first, second = np.triu_indices(len(people), 1)
    scores = (templates @ templates.T).double().numpy()[first, second]
    person, pose = np.array(people), np.array(poses)
    same = person[first] == person[second]
    known = sorted(set(people))
    number = np.array([known.index(name) for name in people])
    early, late = (number[first] < PART) & (number[second] < PART), (number >= PART)
    late = late[first] & late[second]
    rates = {
        "all": roc(scores, same).equal_error().rate,
        "first ten": roc(scores[early], same[early]).equal_error().rate,
        "last ten": roc(scores[late], same[late]).equal_error().rate,
    }
    for one, other in itertools.combinations_with_replacement(sorted(set(poses)), 2):
        pairs = (pose[first] == one) & (pose[second] == other)
        pairs |= (pose[first] == other) & (pose[second] == one)
        rates[f"{one}-{other}"] = roc(scores[pairs], same[pairs]).equal_error().rate
    return rates


def trained(name: str, seed: int, runs: Path, cache: Path | None) -> FaceModel:
    """Return the network of a plan and a seed, trained if RUNS lacks it."""
    out = runs / f"{name}-{seed}"
    status = RunFolder(out)
    if not status.status_file.exists() or status.status().state is not State.FINISHED:
        loading = Loading(cache=cache, workers=1)
        fit(recipe(PLANS[name], seed), out, loading=loading, quiet=True, report=False)
    return open_model(out)


def main() -> None:
    """Train the networks that RUNS lacks, and write the rates of all after each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--runs", type=Path, default=Path("runs/transfer"))
    parser.add_argument("--out", type=Path, default=Path("transfer.json"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--networks", default=",".join(PLANS), help="separated by commas")
    parser.add_argument("--cache", type=Path, help="folder of rendered faces")
    options = parser.parse_args()
    results: dict[str, dict[str, dict[str, float]]] = {}
    for seed, name in itertools.product(range(options.seeds), options.networks.split(",")):
        zoom = PLANS[name].faces.zoom
        images, people, poses = photographs(options.photographs, zoom)
        model = trained(name, seed, options.runs, options.cache)
        for way, templates in (
            (f"raw pixels, zoom {zoom:g}, templates", pixel_template(images)),
            (f"raw pixels, zoom {zoom:g}, centered", centered(pixel_template, images)),
            (f"{name}, templates", model.embed(images)),
            (f"{name}, centered", centered(partial(features, model.embedder.network), images)),
        ):
            rates = equal_errors(templates, people, poses)
            key = "any" if way.startswith("raw") else f"seed {seed}"
            results.setdefault(way, {})[key] = rates
            sys.stdout.write(f"{way}, {key}: EER {rates['all']:.3f}\n")
        write_file(options.out, (json.dumps(results, indent=1) + "\n").encode())
        sys.stdout.flush()
    for way, seeds in results.items():
        rate = fmean(rates["all"] for rates in seeds.values())
        sys.stdout.write(f"{way}: mean EER {rate:.3f} of {len(seeds)}\n")


if __name__ == "__main__":
    main()
