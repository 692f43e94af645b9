"""The commands of mtlkit-face that write files, on pictures of random pixels."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from mtlkit_face.cli import face
from mtlkit_face.inference.gallery_file import TemplateGallery, TemplateOrigin, write_gallery
from mtlkit_synthetic_faces import FaceSet, render_set
from PIL import Image

from fault_campaign.acts import Act, Run
from mtlkit.cli import Session
from mtlkit.cli.boundary import exit_code

POINTS = "38 51 73 51 56 71 41 92 70 92"
"""Five landmarks."""

FACES = FaceSet(subjects=1, images_per_subject=2, size=32)


def gallery(seed: int = 0) -> TemplateGallery:
    """Return twenty templates of eight numbers."""
    names = tuple(f"n{number}" for number in range(20))
    origin = TemplateOrigin(fingerprint="f" * 16, weights="w" * 64, task="subject", size=8)
    templates = torch.randn(20, 8, generator=torch.Generator().manual_seed(seed))
    return TemplateGallery(files=names, names=names, templates=templates, origin=origin)


def face_acts(home: Path) -> Iterator[Act]:
    """Yield an act for each command and each format."""
    for suffix in ("parquet", "safetensors"):
        old, path = home / f"old-{suffix}", home / "run" / f"gallery.{suffix}"
        old.mkdir()
        write_gallery(gallery(seed=0), old / path.name)
        write = _guarded(lambda path=path: write_gallery(gallery(seed=1), path))
        yield Act(f"a gallery in .{suffix}", write, (path.name,), old)
    empty = home / "empty"
    empty.mkdir()
    _photographs(home / "photographs")
    (home / "points.txt").write_text(f"ann/*.png {POINTS}\nbob/*.png {POINTS}\n")
    render_set(FACES, cache=None, workers=1)  # compiles the renderer for all children
    one = ("--subjects", "1", "--images-per-subject", "2", "--size", "32", "--workers", "1")
    few = (
        "--subjects",
        "6",
        "--fold-count",
        "2",
        "--fold-pairs",
        "2",
        "--splits",
        "1",
        "--size",
        "32",
    )
    for name, *options in (
        ("align", "photographs", "points.txt", "run/out", "--workers", "1"),
        ("render", "--out", "run/out", *one),
        ("recipes", "--out", "run/out"),
        ("protocol", "render", "--out", "run/out", *few),
    ):
        label = "face protocol render" if name == "protocol" else f"face {name}"
        whole = name != "recipes"  # which are copied one after the other
        yield Act(f"`{label}`", _face(name, *options), ("out",), empty, whole=whole)
    files = ("train.rec", "train.idx", "property", "subjects.csv")
    yield Act("`face pack`", _face("pack", "photographs", "run/train.rec"), files, empty)
    cache = _guarded(lambda: render_set(FACES, cache=home / "run" / "cache", workers=1))
    yield Act("a cache of faces", cache, ("cache",), empty)


def _photographs(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("ann/1.png", "ann/2.png", "bob/1.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (120, 120), np.uint8)).save(folder / name)


def _guarded(act: Callable[[], object]) -> Run:
    """Return a function that calls `act` within the boundary of the command line."""

    def run() -> None:
        act()

    return lambda: exit_code(run, Session())


def _face(*arguments: str) -> Run:
    """Return a call of ``mtlkit face`` without loading plugins."""
    return _guarded(lambda: face.main([*arguments], standalone_mode=False))
