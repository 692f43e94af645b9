"""Conformance of the data sources and backbones with the promises of their families."""

from functools import partial

import pytest
import torch
from mtlkit_benchmarks.bigru import BiGRU
from mtlkit_benchmarks.camvid import CamVid
from mtlkit_benchmarks.mpnn import MPNN
from mtlkit_benchmarks.office_caltech import OfficeCaltech10
from mtlkit_benchmarks.qm9 import QM9
from mtlkit_benchmarks.scenes.source import Scenes
from mtlkit_benchmarks.tox21 import Tox21
from mtlkit_benchmarks.universal_dependencies import UniversalDependencies
from mtlkit_benchmarks.utkface import UTKFace

from mtlkit import testing
from mtlkit.data import InputSpec, RandomSplit


@pytest.fixture(autouse=True)
def _trees(tmp_path, monkeypatch, tree):
    """Small trees in the folders that the examples read."""
    monkeypatch.chdir(tmp_path)
    for name in ("camvid", "officecaltech10", "qm9", "tox21", "utkface", "ud"):
        tree(name)


def tokens(length, count):
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, length + 1, (count, 1), generator=generator)
    mask = torch.arange(length) < lengths
    ids = torch.randint(2, 20, (count, length), generator=generator)
    return {"ids": ids * mask, "suffixes": ids.flip(1) * mask, "mask": mask}


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
SPLIT = RandomSplit(validation=0.25, test=0.25)
EXCUSES = {
    "backbones/benchmarks/bigru": {"compiles": "torch.compile does not trace a GRU of torch"}
}
test_conformance = testing.conformance(
    "benchmarks",
    examples={
        "data/benchmarks/camvid": CamVid(size=(16, 24)),
        "data/benchmarks/office-caltech10": OfficeCaltech10(size=8),
        "data/benchmarks/qm9": QM9(split=SPLIT),
        "data/benchmarks/scenes": Scenes(samples=3, validation=1, test=1, size=(8, 12)),
        "data/benchmarks/tox21": Tox21(split=SPLIT),
        "data/benchmarks/utkface": UTKFace(size=8, split=SPLIT),
        "data/benchmarks/universal-dependencies": UniversalDependencies(least=1),
        "backbones/benchmarks/mpnn": testing.Example(
            value=MPNN(width=8, hidden=6), inputs=ATOMS, batch=molecules
        ),
        "backbones/benchmarks/bigru": testing.Example(
            value=BiGRU(embedding=8, width=6),
            inputs={"ids": IDS, "suffixes": IDS, "mask": InputSpec(shape=(6,), dtype="bool")},
            batch=partial(tokens, 6),
        ),
    },
    excuses=EXCUSES,
)
