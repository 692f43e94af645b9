"""Measure verification on photographs with networks trained on rendered faces alone.

    python benchmarks/transfer.py PHOTOGRAPHS --out transfer.json

PHOTOGRAPHS is a folder with the CMU Face Images at quarter resolution (T. Mitchell, 1997; UCI data
set 124, CC BY 4.0): 624 files of 20 people, 32x30 pixels, such as an2i_left_angry_open_4.pgm. Every
pair of photographs is scored, across poses, expressions and sunglasses. Each photograph is cut to
the same square around the mean face; nothing is fitted to the photographs.

Networks of all renderers have the same recipe, budget and people. Results are written after each
network, and those in the file are not repeated.
"""

import argparse
import itertools
import json
import sys
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

import attrs
import numpy as np
import torch
from mtlkit_face.data.rendered import Rendered
from mtlkit_face.identification.template import pixel_template
from mtlkit_face.inference.model import open_model
from mtlkit_face.metrics.roc import roc
from mtlkit_face.networks.yin_liu import s_cnn
from PIL import Image
from torch import Tensor

from mtlkit import Recipe, Train, fit
from mtlkit.data import Loading
from mtlkit.optim import SGD, Cosine
from mtlkit.plugins import write_file

BOX = (8, 8, 24, 24)
"""Square of the mean face: left, top, right, bottom in pixels of a photograph."""

SIZE = 32
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
OLD_OPTIONS = {"jitter_px": 2.5, "exposure": 0.3, "noise": 0.02, "blur": 0.8}
NEW_OPTIONS = {
    "style": 2,
    "accessories": 0.6,
    "occlusion": 0.2,
    "degradation": 0.8,
    "jitter_deg": 10.0,
}
RENDERERS = {
    "default": FACES,
    "style-2": attrs.evolve(FACES, **OLD_OPTIONS, **NEW_OPTIONS),
    "default-varied": attrs.evolve(FACES, **OLD_OPTIONS),
}
"""`default-varied` has the largest variation that style 1 offers."""


def recipe(faces: Rendered, seed: int) -> Recipe:
    """Return the recipe of one network: identity alone, on the faces of a seed's people."""
    return attrs.evolve(
        s_cnn(attrs.evolve(faces, first_subject=1000 * seed), width=0.25),
        optimizer=SGD(lr=0.03, momentum=0.9, weight_decay=5e-4),
        schedule=Cosine(),
        train=Train(epochs=12, batch=32, precision="bf16", threads=1, test=False),
        evaluators=(),
        seed=seed,
    )


def photographs(folder: Path) -> tuple[Tensor, list[str], list[str]]:
    """Return the photographs (N, 1, H, W), their people and their poses."""
    files = sorted(folder.glob("*_4.pgm"))
    if not files:
        sys.exit(f"{folder}: got no file *_4.pgm, expected the CMU Face Images")
    images = [
        Image.open(file).crop(BOX).resize((SIZE, SIZE), Image.Resampling.BICUBIC) for file in files
    ]
    names = [file.name.split("_") for file in files]
    pixels = torch.from_numpy(np.stack([np.asarray(image) for image in images]))
    return pixels.unsqueeze(1), [name[0] for name in names], [name[1] for name in names]


def equal_errors(templates: Tensor, people: list[str], poses: list[str]) -> dict[str, float]:
    """Return the EER of all pairs, and of the pairs of each two poses."""
    first, second = np.triu_indices(len(people), 1)
    scores = (templates @ templates.T).double().numpy()[first, second]
    person, pose = np.array(people), np.array(poses)
    same = person[first] == person[second]
    rates = {"all": roc(scores, same).equal_error().rate}
    for one, other in itertools.combinations_with_replacement(sorted(set(poses)), 2):
        pairs = (pose[first] == one) & (pose[second] == other)
        pairs |= (pose[first] == other) & (pose[second] == one)
        rates[f"{one}-{other}"] = roc(scores[pairs], same[pairs]).equal_error().rate
    return rates


def main() -> None:
    """Train the networks that the file lacks, and write the rates after each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--out", type=Path, default=Path("transfer.json"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--renderers", default=",".join(RENDERERS), help="separated by commas")
    parser.add_argument("--cache", type=Path, help="folder of rendered faces")
    options = parser.parse_args()
    images, people, poses = photographs(options.photographs)
    results = json.loads(options.out.read_text()) if options.out.exists() else {}
    results["raw-pixels"] = {"0": equal_errors(pixel_template(images), people, poses)}
    for seed, name in itertools.product(range(options.seeds), options.renderers.split(",")):
        if str(seed) in results.setdefault(name, {}):
            continue
        with TemporaryDirectory() as folder:
            out = Path(folder) / "run"
            loading = Loading(cache=options.cache, workers=1)
            fit(recipe(RENDERERS[name], seed), out, loading=loading, quiet=True, report=False)
            templates = open_model(out).embed(images)
        results[name][str(seed)] = equal_errors(templates, people, poses)
        write_file(options.out, (json.dumps(results, indent=1) + "\n").encode())
        sys.stdout.write(f"{name}, seed {seed}: EER {results[name][str(seed)]['all']:.3f}\n")
        sys.stdout.flush()
    for name, seeds in results.items():
        rates = [rate["all"] for rate in seeds.values()]
        if rates:
            sys.stdout.write(f"{name}: mean EER {fmean(rates):.3f} over {len(rates)} networks\n")


if __name__ == "__main__":
    main()
