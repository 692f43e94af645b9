"""Conformance of the data sources and backbones with the promises of their families."""

from functools import partial
from pathlib import Path

import pytest
import torch
from mtlkit_benchmarks.bigru import BiGRU
from mtlkit_benchmarks.dense.cityscapes import Cityscapes
from mtlkit_benchmarks.dense.cityscapes_official import CityscapesOfficial
from mtlkit_benchmarks.dense.nyuv2 import NYUv2
from mtlkit_benchmarks.dense.nyuv2_raw import NYUv2Raw
from mtlkit_benchmarks.dense.pascal_context import PascalContext
from mtlkit_benchmarks.dense.taskonomy import Taskonomy
from mtlkit_benchmarks.photos.affectnet import AffectNet
from mtlkit_benchmarks.photos.biwi import BIWI
from mtlkit_benchmarks.photos.celeba import CelebA
from mtlkit_benchmarks.photos.fairface import FairFace
from mtlkit_benchmarks.photos.head_pose import HeadPose
from mtlkit_benchmarks.photos.multi_mnist import MultiMNIST, ParetoMNIST
from mtlkit_benchmarks.photos.office import Office
from mtlkit_benchmarks.photos.raf_db import RAFDB
from mtlkit_benchmarks.scenes.source import Scenes
from mtlkit_benchmarks.tables.aliexpress import AliExpress
from mtlkit_benchmarks.tables.census_income import CensusIncome
from mtlkit_benchmarks.tables.mulan import Mulan
from mtlkit_benchmarks.tables.school import School
from mtlkit_benchmarks.text.paws_x import PawsX
from mtlkit_benchmarks.tox21 import Tox21
from mtlkit_benchmarks.universal_dependencies import UniversalDependencies
from mtlkit_benchmarks.utkface import UTKFace

from mtlkit import testing
from mtlkit.data import InputSpec, RandomSplit

SPLIT = RandomSplit(validation=0.25, test=0.25)
SCHOOLS = RandomSplit(validation=0.25, test=0.25, stratify="school")
PART = {"complete": False}
SOURCES = {
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
    "tox21": Tox21(split=SPLIT, **PART),
    "universal-dependencies": UniversalDependencies(least=1),
    "paws-x": PawsX(folder=Path("paws-x"), languages=("en", "zh"), length=16, **PART),
}


@pytest.fixture(autouse=True)
def _trees(tmp_path, monkeypatch, tree, request):
    """Small trees in the folders that the examples read."""
    monkeypatch.chdir(tmp_path)
    written = {"multi-mnist": "mnist", "universal-dependencies": "ud"}
    for name in SOURCES:
        if f"benchmarks/{name}:" in request.node.name:
            tree(written.get(name, name))


def tokens(length, count):
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, length + 1, (count, 1), generator=generator)
    mask = torch.arange(length) < lengths
    ids = torch.randint(2, 20, (count, length), generator=generator)
    return {"ids": ids * mask, "suffixes": ids.flip(1) * mask, "mask": mask}


IDS = InputSpec(shape=(6,), dtype="int64", vocabulary=20)
EXCUSES = {
    "backbones/benchmarks/bigru": {"compiles": "torch.compile does not trace a GRU of torch"}
}
test_conformance = testing.conformance(
    "benchmarks",
    examples={
        "data/benchmarks/scenes": Scenes(samples=3, validation=1, test=1, size=(8, 12)),
        **{f"data/benchmarks/{name}": source for name, source in SOURCES.items()},
        "backbones/benchmarks/bigru": testing.Example(
            value=BiGRU(embedding=8, width=6),
            inputs={"ids": IDS, "suffixes": IDS, "mask": InputSpec(shape=(6,), dtype="bool")},
            batch=partial(tokens, 6),
        ),
    },
    excuses=EXCUSES,
)
