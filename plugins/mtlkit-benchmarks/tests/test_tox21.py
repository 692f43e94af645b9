"""The reader of Tox21."""

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from mtlkit_benchmarks.tox21 import ASSAYS, Tox21, read_assays

from mtlkit.data import Loading, RandomSplit
from mtlkit.plugins import DataError

SPLIT = RandomSplit(validation=0.25, test=0.25)
REAL = Path(__file__).parents[3].parent / "shared" / "data" / "tox21"


def load(folder):
    return Tox21(folder=folder, split=SPLIT, complete=False).load(Loading())


def test_labels_are_those_of_the_table(tree):
    folder = tree("tox21")
    ids, labels = read_assays(folder / "tox21.csv.gz")
    split = load(folder).train
    row = ids.index(split.ids[0])
    assert torch.equal(split.columns["assays"][torch.tensor(0)], labels[row])
    for number, name in enumerate(ASSAYS):
        assert split.columns[name].codes[0] == labels[row, number]


def test_a_molecule_without_a_fingerprint_is_counted(tree):
    folder = tree("tox21")
    data = load(folder)
    assert data.summary == {"molecules without a fingerprint": "1"}
    ids = [name for split in data.splits().values() for name in split.ids]
    assert sorted(ids) == sorted(f"TOX{number}" for number in range(11))


def test_a_wrong_label_is_an_error_with_its_line(tree):
    folder = tree("tox21")
    path = folder / "tox21.csv.gz"
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    lines[3] = f"7,{lines[3].partition(',')[2]}"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    with pytest.raises(DataError, match="line 4: got '7' for NR-AR, expected 0, 1 or nothing"):
        load(folder)


def test_fingerprints_of_other_molecules_are_refused(tree):
    folder = tree("tox21")
    np.savez(folder / "features.npz", fingerprint=np.zeros((3, 2), np.uint8))
    with pytest.raises(DataError, match=r"got fingerprints \(3, 2\) in uint8, .*one row for each"):
        load(folder)


def test_a_missing_folder_and_a_missing_column_are_named(tmp_path, tree):
    with pytest.raises(DataError, match=r"tox21.csv.gz: got 0 files, expected at least 1\n"):
        load(tmp_path)
    folder = tree("tox21")
    path = folder / "tox21.csv.gz"
    path.write_bytes(gzip.compress(b"NR-AR,smiles\n"))
    with pytest.raises(DataError, match="has no column 'NR-AR-LBD'; expected the table of Mol"):
        load(folder)


def test_the_real_table_has_the_published_counts():
    if not REAL.is_dir():
        pytest.skip("needs the Tox21 data set in ../shared/data/tox21")
    data = Tox21(folder=REAL).load(Loading())
    labels = torch.cat([s.columns["assays"].rows for s in data.splits().values()])
    assert labels.shape == (8006, 12)
    assert (read_assays(REAL / "tox21.csv.gz")[1] == 1).sum(dim=0).tolist() == [
        310, 238, 785, 307, 798, 356, 189, 961, 267, 379, 936, 431,
    ]  # fmt: skip
