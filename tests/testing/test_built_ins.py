"""Every built-in component keeps what its family promises."""

import io
import tarfile
from pathlib import Path

import pytest
import torch
from PIL import Image

from mtlkit import testing
from mtlkit.backbones import MLP, CasiaNet, SegNet, TimmModel, Transformer, UNet
from mtlkit.data import (
    CenterCrop,
    ClassMapTarget,
    ClassTarget,
    Concat,
    Crop,
    Images,
    InputSpec,
    Mix,
    MultiLabelTarget,
    Resize,
    ResizedCrop,
    Shards,
    Table,
    TokenTarget,
    VectorTarget,
)
from mtlkit.heads import DeepCCA
from mtlkit.metrics import TopK
from mtlkit.plugins.catalog import load_catalog
from mtlkit.routers import Grouped
from mtlkit.weightings import Fixed

COMPLETE = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
COMPLETE[3::4] = torch.nan
EXAMPLES = {
    "heads/deep-cca": testing.Example(
        value=DeepCCA(components=1, hidden=(8,)),
        target=VectorTarget(names=("x", "y")),
        labels=COMPLETE,
    ),
    "backbones/casia-net": testing.Example(
        value=CasiaNet(width=0.1), inputs=InputSpec(shape=(1, 32, 32))
    ),
    "backbones/mlp": testing.Example(
        value=MLP(hidden=(16, 8), dropout=0.5), inputs=InputSpec(shape=(6,))
    ),
    "backbones/timm": testing.Example(
        value=TimmModel(model="resnet10t", features="pyramid", levels=(2, 4)),
        inputs=InputSpec(shape=(3, 32, 32)),
    ),
    "backbones/unet": testing.Example(
        value=UNet(channels=4, depth=2), inputs=InputSpec(shape=(1, 16, 16))
    ),
    "backbones/segnet": testing.Example(
        value=SegNet(width=0.03), inputs=InputSpec(shape=(1, 32, 32))
    ),
    "backbones/transformer": testing.Example(
        value=Transformer(width=16, layers=1, feedforward=16, dropout=0.0),
        inputs={
            "ids": InputSpec(shape=(6,), dtype="int64", vocabulary=20),
            "mask": InputSpec(shape=(6,), dtype="bool"),
        },
    ),
    "routers/grouped": Grouped(task="kind", by="side", groups={"l": ("left",), "r": ("right",)}),
    "data/images": Images(
        folder=Path("faces"), pattern="{kind}_{size}.png", size=(6, 8), numeric=("size",)
    ),
    "data/table": Table(
        file=Path("rows.csv"), labels=("kind", "size"), numeric=("size",), key="name"
    ),
    "data/concat": Concat(
        sources={
            "rows": Table(
                file=Path("rows.csv"), labels=("kind", "size"), numeric=("size",), key="name"
            ),
            "again": Table(file=Path("rows.csv"), labels=("kind", "size"), key="name"),
        },
        rename={"again": {"size": "height"}},
    ),
    "data/mix": Mix(
        sources={
            name: Table(file=Path("rows.csv"), labels=("kind", "size"), key="name")
            for name in ("rows", "again")
        },
        shared=("kind", "size"),
        ratios={"rows": 2},
    ),
    "data/shards": Shards(shards=("faces.tar",), size=(6, 8), order="full"),
    **{
        f"targets/{name}": kind(names=("a", "b", "c"))
        for name, kind in {
            "class": ClassTarget,
            "class-map": ClassMapTarget,
            "multi-label": MultiLabelTarget,
            "tokens": TokenTarget,
            "vector": VectorTarget,
        }.items()
    },
    "metrics/top-k": TopK(k=2),
    "transforms/center-crop": CenterCrop(size=16),
    "transforms/crop": Crop(size=(20, 24), padding=2),
    "transforms/resize": Resize(size=(16, 20)),
    "transforms/resized-crop": ResizedCrop(size=16),
    "weightings/fixed": Fixed(weights={"side": 0.5, "rare": 0.0}),
}
CHANCE = "projects on the other tasks' gradients in an order drawn by chance, as published"
SENT_ONCE = (
    "a tracker's run holds events with the time of sending; those after the checkpoint are sent "
    "once"
)
EXCUSES = {
    "heads/deep-cca": {
        "averages-the-present-elements": "a correlation is of whole vectors, and of a batch",
    },
    "loggers/tensorboard": {
        "discards-events-after-the-checkpoint": "event files are only ever appended to, with "
        "the time of writing; TensorBoard itself hides what came after the step",
    },
    "loggers/mlflow": {"discards-events-after-the-checkpoint": SENT_ONCE},
    **{
        f"loggers/{tracker}": {
            "flushes-to-disk": "its package writes when it chooses to",
            "discards-events-after-the-checkpoint": SENT_ONCE,
        }
        for tracker in ("wandb", "trackio")
    },
    "weightings/pcgrad": {"ignores-the-order-of-tasks": CHANCE},
    "weightings/gradvac": {"ignores-the-order-of-tasks": CHANCE},
    "weightings/rlw": {
        "ignores-the-order-of-tasks": "its weights are drawn for the tasks one after the other"
    },
    "weightings/task-sampling": {
        "ignores-the-order-of-tasks": "its tasks are drawn by their position"
    },
}


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """A folder with the images and the table of the data sources, which only read them."""
    folder = tmp_path_factory.mktemp("samples")
    rows = [f"row {n},{'ab'[n % 2]},{n},{n % 7},{'xyz'[n % 3]}" for n in range(30)]
    (folder / "rows.csv").write_text("\n".join(["name,kind,size,height,colour", *rows]))
    (folder / "faces").mkdir()
    for number in range(30):
        image = Image.new("RGB", (8, 6), (number, 2 * number, 100))
        image.save(folder / "faces" / f"{'ab'[number % 2]}_{number}.png")
    with tarfile.open(folder / "faces.tar", "w") as tar:
        for number in range(30):
            tar.add(folder / "faces" / f"{'ab'[number % 2]}_{number}.png", f"{number}.png")
            label = tarfile.TarInfo(f"{number}.cls")
            label.size = 1
            tar.addfile(label, io.BytesIO(b"ab"[number % 2 :][:1]))
    return folder


@pytest.fixture(autouse=True)
def _folder(case, samples, tmp_path, monkeypatch):
    """Let data sources find their samples, and the other components an empty folder."""
    monkeypatch.chdir(samples if case.subject.plural == "data" else tmp_path)


test_conformance = testing.conformance(
    "", examples=EXAMPLES, excuses=EXCUSES, catalog=load_catalog("none")
)
