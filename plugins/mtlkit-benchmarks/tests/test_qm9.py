"""The reader of QM9."""

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from mtlkit_benchmarks.molecules import ELEMENTS, read_xyz
from mtlkit_benchmarks.qm9 import QM9, UNITS

from mtlkit.data import Loading, RandomSplit
from mtlkit.plugins import DataError

SPLIT = RandomSplit(validation=0.25, test=0.25)
REAL = Path(__file__).parents[3].parent / "shared" / "data" / "qm9"
CODES = list(ELEMENTS.values())


def load(folder):
    return QM9(folder=folder, split=SPLIT).load(Loading())


def test_a_batch_holds_the_atoms_of_its_molecules(tree):
    folder = tree("qm9")
    arrays = np.load(folder / "geometry.npz")
    for split in load(folder).splits().values():
        for row, name in enumerate(split.ids):
            number = int(name.removeprefix("gdb_"))
            batch = split.inputs[torch.tensor([0, row])]
            assert batch["mask"].all()
            assert [CODES[code] for code in batch["atoms"][1]] == [6, 1, 1, 1, 1]
            expected = arrays["pos"][5 * number : 5 * number + 5]
            np.testing.assert_array_equal(batch["positions"][1], expected)
            assert split.columns["mu"].values[row] == pytest.approx(0.1 * number)


def test_the_atomization_energy_of_methane(tree):
    """-40.47893 hartree are -17.17 eV less than the energies of one C and four H."""
    column = load(tree("qm9")).train.columns["u0_atom"]
    assert column.values[0].item() == pytest.approx(-17.17, abs=0.01)
    assert column.unit == "eV"


def damaged_table(folder, old, new):
    path = folder / "qm9.csv.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()).replace(old, new, 1)))


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (b"alpha", b"beta", "has no column 'alpha'; expected the table of MoleculeNet"),
        (b"13.2", b"much", "line 2: got 'much' for alpha, expected a number"),
    ],
)
def test_a_damaged_table_is_refused(tree, old, new, fault):
    folder = tree("qm9")
    damaged_table(folder, old, new)
    with pytest.raises(DataError, match=fault):
        load(folder)


@pytest.mark.parametrize(
    ("numbers", "fault"),
    [
        ([6, 1, 1, 1, 17], "got the atomic number 17, expected one of 1, 6, 7, 8, 9"),
        ([6, 1], r"Z \(2,\) and pos \(40, 3\), expected \(8,\), \(40,\) and \(40, 3\)"),
    ],
)
def test_a_damaged_geometry_is_refused(tree, numbers, fault):
    folder = tree("qm9")
    arrays = dict(np.load(folder / "geometry.npz"))
    arrays["Z"] = np.array(numbers * 8 if len(numbers) == 5 else numbers, np.uint8)
    np.savez(folder / "geometry.npz", **arrays)
    with pytest.raises(DataError, match=fault):
        load(folder)


XYZ = "3\nwater\nO 0 0 0.1\nH 0 0.8 -0.5\nH 0 -0.8 -0.5\n1\n\nF 0 0 0\n"


def test_a_file_of_molecules_is_read(tmp_path):
    path = tmp_path / "two.xyz"
    path.write_text(XYZ)
    molecules, names = read_xyz(path)
    assert names == ["water", "molecule 2"]
    batch = molecules[torch.tensor([1, 0])]
    assert batch["mask"].tolist() == [[True, False, False], [True, True, True]]
    assert [CODES[code] for code in batch["atoms"][batch["mask"]]] == [9, 8, 1, 1]
    assert batch["positions"][1, 2].tolist() == pytest.approx([0, -0.8, -0.5])
    assert molecules.specs()["positions"].shape == (3, 3)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("3\n", "three\n", "line 1: got 'three', expected the number of atoms of a molecule"),
        ("1\n\n", "9\n\n", "line 6: got 9 atoms, expected as many lines"),
        ("F", "Cl", "line 8: got the element 'Cl', expected H, C, N, O, F"),
        ("-0.8 -0.5", "-0.8", "line 5: got 'H 0 -0.8', expected an element and x, y, z"),
    ],
)
def test_a_damaged_file_of_molecules_is_refused(tmp_path, old, new, fault):
    path = tmp_path / "two.xyz"
    path.write_text(XYZ.replace(old, new, 1))
    with pytest.raises(DataError, match=fault):
        read_xyz(path)


def test_the_real_molecules_are_all_read():
    if not REAL.is_dir():
        pytest.skip("needs the QM9 molecules in ../shared/data/qm9")
    data = QM9(folder=REAL).load(Loading())
    assert {name: len(split) for name, split in data.splits().items()} == {
        "train": 8640, "validation": 1080, "test": 1080,
    }  # fmt: skip
    assert tuple(data.train.columns) == tuple(UNITS)
    # atomization releases energy, and more of it at 0 K without the motion of atoms than as G
    u0, g = (data.train.columns[f"{name}_atom"].values for name in ("u0", "g298"))
    assert (u0 < g).all()
    assert (g < 0).all()
