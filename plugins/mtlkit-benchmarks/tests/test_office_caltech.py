"""The reader of Office-Caltech10."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mtlkit_benchmarks.office_caltech import CLASSES, DOMAINS, OfficeCaltech10
from scipy.io import loadmat, savemat

from mtlkit.data import Loading
from mtlkit.plugins import DataError, MissingExtraError

REAL = Path(__file__).parents[3].parent / "shared" / "data" / "officecaltech10"


def load(folder, **options):
    return OfficeCaltech10(folder=folder, size=8, **options).load(Loading())


@pytest.mark.parametrize("surf", [False, True])
def test_a_sample_has_a_label_of_its_domain_alone(tree, surf):
    data = load(tree("officecaltech10"), surf=surf)
    assert sorted(map(len, data.splits().values())) == [4, 12, 24]
    for split in data.splits().values():
        for row, name in enumerate(split.ids):
            domain, rest = name.split("/", 1)
            labels = {d: split.columns[d].values()[row] for d in DOMAINS}
            expected = CLASSES[int(rest)] if surf else rest.split("/")[0]
            assert labels == {d: expected if d == domain else None for d in DOMAINS}
            assert split.columns["category"].values()[row] == expected
            assert split.columns["domain"].values()[row] == domain


def test_a_histogram_is_the_square_root_of_frequencies(tree):
    folder = tree("officecaltech10")
    data = load(folder, surf=True)
    counts = loadmat(folder / "surf" / "dslr.mat")["fts"].astype(float)
    for row, name in enumerate(data.train.ids):
        if name.startswith("dslr/"):
            count = counts[int(name.split("/")[1])]
            expected = np.sqrt(count / count.sum())
            np.testing.assert_allclose(data.train.inputs[row], expected, rtol=1e-5)
    np.testing.assert_allclose(data.mean, data.train.inputs.mean(dim=0), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("arrays", "fault"),
    [
        ({"fts": np.zeros((2, 800))}, "expected arrays `fts` and `labels`"),
        ({"fts": np.zeros((2, 7)), "labels": np.ones((2, 1))}, r"got fts \(2, 7\) and labels"),
        (
            {"fts": np.zeros((2, 800)), "labels": np.zeros((2, 1), int)},
            "got labels from 0 to 0, exp",
        ),
    ],
)
def test_another_file_of_histograms_is_refused(tree, arrays, fault):
    folder = tree("officecaltech10")
    savemat(folder / "surf" / "webcam.mat", arrays)
    with pytest.raises(DataError, match=rf"webcam.mat: .*{fault}"):
        load(folder, surf=True)


def test_histograms_need_scipy(tree, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(MissingExtraError, match=r"pip install mtlkit-benchmarks\[surf\]"):
        load(tree("officecaltech10"), surf=True)


@pytest.mark.parametrize("surf", [False, True])
def test_the_real_set_has_the_published_counts(surf):
    if not REAL.is_dir():
        pytest.skip("needs the Office-Caltech10 data set in ../shared/data/officecaltech10")
    data = load(REAL, surf=surf)
    codes = torch.cat([split.categorical("domain").codes for split in data.splits().values()])
    counts = dict(zip(DOMAINS, codes.bincount().tolist(), strict=True))
    assert counts == {"amazon": 958, "caltech10": 1123, "dslr": 157, "webcam": 295}
