"""Conformance of the data sources and backbones with the promises of their families."""

from functools import partial
from pathlib import Path

import pytest
import torch
from mtlkit_benchmarks.batch_averages import BatchAverages
from mtlkit_benchmarks.best_delta import BestDelta
from mtlkit_benchmarks.bigru import BiGRU
from mtlkit_benchmarks.camvid import CamVid
from mtlkit_benchmarks.dense.cityscapes import Cityscapes
from mtlkit_benchmarks.dense.cityscapes_official import CityscapesOfficial
from mtlkit_benchmarks.dense.nyuv2 import NYUv2
from mtlkit_benchmarks.dense.nyuv2_raw import NYUv2Raw
from mtlkit_benchmarks.dense.pascal_context import PascalContext
from mtlkit_benchmarks.dense.taskonomy import Taskonomy
from mtlkit_benchmarks.mpnn import MPNN
from mtlkit_benchmarks.networks.celeba_cnn import CelebACNN
from mtlkit_benchmarks.networks.deeplab import DeepLab
from mtlkit_benchmarks.networks.field_embedding import FieldEmbedding
from mtlkit_benchmarks.networks.lenet import LeNet
from mtlkit_benchmarks.networks.level_conv import LevelConv
from mtlkit_benchmarks.networks.nnconv import NNConv
from mtlkit_benchmarks.networks.office_resnet import OfficeResNet
from mtlkit_benchmarks.networks.segnet_mtan import SegNetMTAN
from mtlkit_benchmarks.office_caltech import OfficeCaltech10
from mtlkit_benchmarks.photos.affectnet import AffectNet
from mtlkit_benchmarks.photos.biwi import BIWI
from mtlkit_benchmarks.photos.celeba import CelebA
from mtlkit_benchmarks.photos.fairface import FairFace
from mtlkit_benchmarks.photos.head_pose import HeadPose
from mtlkit_benchmarks.photos.multi_mnist import MultiMNIST, ParetoMNIST
from mtlkit_benchmarks.photos.office import Office
from mtlkit_benchmarks.photos.raf_db import RAFDB
from mtlkit_benchmarks.qm9 import QM9
from mtlkit_benchmarks.scenes.source import Scenes
from mtlkit_benchmarks.tables.aliexpress import AliExpress
from mtlkit_benchmarks.tables.census_income import CensusIncome
from mtlkit_benchmarks.tables.mulan import Mulan
from mtlkit_benchmarks.tables.qm9_pack import QM9Pack
from mtlkit_benchmarks.tables.school import School
from mtlkit_benchmarks.text.paws_x import PawsX
from mtlkit_benchmarks.tox21 import Tox21
from mtlkit_benchmarks.universal_dependencies import UniversalDependencies
from mtlkit_benchmarks.utkface import UTKFace
from mtlkit_benchmarks.zoom_crop import ZoomCrop

from mtlkit import Recipe, Role, Task, testing
from mtlkit.backbones import MapFeatures, PyramidFeatures, PyramidLevel, UNet
from mtlkit.data import InputSpec, RandomSplit
from mtlkit.heads import DenseRegression, Normals, Segmentation

SPLIT = RandomSplit(validation=0.25, test=0.25)
SCHOOLS = RandomSplit(validation=0.25, test=0.25, stratify="school")
PART = {"complete": False}
SOURCES = {
    "camvid": CamVid(size=(16, 24)),
    "office-caltech10": OfficeCaltech10(size=8),
    "qm9": QM9(split=SPLIT),
    "nyuv2": NYUv2(folder=Path("nyuv2"), validation=0.25, **PART),
    "nyuv2-raw": NYUv2Raw(folder=Path("nyuv2-raw"), validation="test", depth="raw", **PART),
    "cityscapes": Cityscapes(**PART),
    "cityscapes-official": CityscapesOfficial(
        folder=Path("cityscapes-official"), size=(8, 16), **PART
    ),
    "pascal-context": PascalContext(folder=Path("pascal-context"), size=12, **PART),
    "taskonomy": Taskonomy(size=8, **PART),
    "celeba": CelebA(size=8, **PART),
    "fairface": FairFace(size=8, **PART),
    "raf-db": RAFDB(size=8, **PART),
    "affectnet": AffectNet(size=8, **PART),
    "utkface": UTKFace(size=8, split=SPLIT, **PART),
    "head-pose": HeadPose(size=8, **PART),
    "biwi": BIWI(size=8, **PART),
    "office": Office(size=8, split=SPLIT, **PART),
    "multi-mnist": MultiMNIST(**PART),
    "pareto-mnist": ParetoMNIST(folder=Path("pareto-mnist"), **PART),
    "census-income": CensusIncome(**PART),
    "aliexpress": AliExpress(**PART),
    "school": School(split=SCHOOLS, **PART),
    "mulan": Mulan(name="enb", split=SPLIT, **PART),
    "qm9-pack": QM9Pack(folder=Path("qm9-pack"), split=SPLIT, **PART),
    "tox21": Tox21(split=SPLIT, **PART),
    "universal-dependencies": UniversalDependencies(least=1),
    "paws-x": PawsX(folder=Path("paws-x"), languages=("en", "zh"), length=16, **PART),
}


@pytest.fixture(autouse=True)
def _trees(tmp_path, monkeypatch, tree, request):
    """Small trees in the folders that the examples read."""
    monkeypatch.chdir(tmp_path)
    written = {"multi-mnist": "mnist", "universal-dependencies": "ud"}
    written |= {"office-caltech10": "officecaltech10"}
    for name in SOURCES:
        if f"benchmarks/{name}:" in request.node.name:
            tree(written.get(name, name))


def tokens(length, count):
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, length + 1, (count, 1), generator=generator)
    mask = torch.arange(length) < lengths
    ids = torch.randint(2, 20, (count, length), generator=generator)
    return {"ids": ids * mask, "suffixes": ids.flip(1) * mask, "mask": mask}


def rows(count):
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, 10, (count, 3), generator=generator)
    return {"ids": ids, "numbers": torch.rand(count, 2, generator=generator)}


IMAGE = InputSpec(shape=(3, 32, 32))
LEVELS = (PyramidLevel(channels=4, stride=1, height=8, width=8),) * 2
SCENES = Recipe(
    data=Scenes(samples=4, validation=2, test=3, size=16),
    backbone=UNet(channels=4, depth=2),
    tasks={
        "classes": Task(role=Role.MAIN, head=Segmentation()),
        "depth": Task(head=DenseRegression()),
        "normals": Task(head=Normals()),
    },
)


def molecules(count):
    generator = torch.Generator().manual_seed(0)
    sizes = torch.tensor([6, *torch.randint(1, 7, (count,), generator=generator)])[:count]
    mask = torch.arange(6) < sizes.unsqueeze(1)
    atoms = torch.randint(5, (6, count), generator=generator).T
    positions = torch.randn(count, 6, 3, generator=generator)
    return {"atoms": torch.where(mask, atoms, 5), "positions": positions, "mask": mask}


IDS = InputSpec(shape=(6,), dtype="int64", vocabulary=20)
ATOMS = {
    "atoms": InputSpec(shape=(6,), dtype="int64", vocabulary=6),
    "positions": InputSpec(shape=(6, 3)),
    "mask": InputSpec(shape=(6,), dtype="bool"),
}
EXCUSES = {
    "backbones/benchmarks/bigru": {"compiles": "torch.compile does not trace a GRU of torch"}
}
test_conformance = testing.conformance(
    "benchmarks",
    examples={
        "data/benchmarks/scenes": Scenes(samples=3, validation=1, test=1, size=(8, 12)),
        **{f"data/benchmarks/{name}": source for name, source in SOURCES.items()},
        "backbones/benchmarks/mpnn": testing.Example(
            value=MPNN(width=8, hidden=6), inputs=ATOMS, batch=molecules
        ),
        "backbones/benchmarks/bigru": testing.Example(
            value=BiGRU(embedding=8, width=6),
            inputs={"ids": IDS, "suffixes": IDS, "mask": InputSpec(shape=(6,), dtype="bool")},
            batch=partial(tokens, 6),
        ),
        "backbones/benchmarks/segnet-mtan": testing.Example(
            value=SegNetMTAN(tasks=2, width=0.0625), inputs=IMAGE
        ),
        "backbones/benchmarks/celeba-cnn": testing.Example(
            value=CelebACNN(width=0.0625), inputs=IMAGE
        ),
        "backbones/benchmarks/lenet": testing.Example(
            value=LeNet(width=6), inputs=InputSpec(shape=(1, 36, 36))
        ),
        "backbones/benchmarks/office-resnet": testing.Example(
            value=OfficeResNet(model="test_resnet", width=6), inputs=IMAGE
        ),
        "backbones/benchmarks/field-embedding": testing.Example(
            value=FieldEmbedding(embedding=4, hidden=(6,)),
            inputs={
                "ids": InputSpec(shape=(3,), dtype="int64", vocabulary=10),
                "numbers": InputSpec(shape=(2,)),
            },
            batch=rows,
        ),
        "backbones/benchmarks/nnconv": testing.Example(
            value=NNConv(width=4, hidden=5, steps=2, readout=2),
            inputs=ATOMS,
            batch=molecules,
        ),
        "adapters/benchmarks/level-conv": testing.Example(
            value=LevelConv(level=1), features=PyramidFeatures(levels=LEVELS)
        ),
        "adapters/benchmarks/deeplab": testing.Example(
            value=DeepLab(channels=4, dilations=(2,)), features=MapFeatures(channels=5, stride=2)
        ),
        "transforms/benchmarks/zoom-crop": ZoomCrop(),
        "callbacks/benchmarks/best-delta": BestDelta(),
        "evaluators/benchmarks/batch-averages": testing.Example(
            value=BatchAverages(), recipe=SCENES
        ),
    },
    excuses=EXCUSES,
)
