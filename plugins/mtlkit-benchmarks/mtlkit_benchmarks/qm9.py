"""QM9: eleven properties of small molecules, from their atoms and coordinates.

Paper: Raghunathan Ramakrishnan, Pavlo O. Dral, Matthias Rupp and O. Anatole von Lilienfeld,
"Quantum Chemistry Structures and Properties of 134 Kilo Molecules", Scientific Data 1, 2014. The
eleven
targets are those of Aviv Navon, Aviv Shamsian, Idan Achituve, Haggai Maron, Kenji Kawaguchi, Gal
Chechik and Ethan Fetaya, "Multi-Task Learning as a Bargaining Game", ICML 2022.
"""

import csv
import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtlkit.data import Data, DataSource, Loading, NumberTarget, Numeric, RandomSplit, Split, Target
from mtlkit.plugins import DataError
from mtlkit_benchmarks.molecules import ELEMENTS, Molecules, read_xyz
from mtlkit_benchmarks.random_splits import random_splits
from mtlkit_benchmarks.trees.files import readable

HARTREE = 27.211386246
"""Electronvolts of one hartree."""

TABLE, GEOMETRY = "qm9.csv.gz", "geometry.npz"

UNITS = {
    "mu": "D",
    "alpha": "a0^3",
    "homo": "eV",
    "lumo": "eV",
    "r2": "a0^2",
    "zpve": "eV",
    "u0_atom": "eV",
    "u298_atom": "eV",
    "h298_atom": "eV",
    "g298_atom": "eV",
    "cv": "cal/(mol K)",
}
"""Units of the targets, by name."""

FREE_ATOMS = {
    "u0": (-13.61312172, -1029.86312267, -1485.30251237, -2042.61123593, -2713.48485589),
    "u298": (-13.5745904, -1029.82456413, -1485.26398105, -2042.5727046, -2713.44632457),
    "h298": (-13.54887564, -1029.79887659, -1485.2382935, -2042.54701705, -2713.42063702),
    "g298": (-13.90303183, -1030.25891228, -1485.71166277, -2043.01812778, -2713.88796536),
}
"""Energies of single atoms in eV, in the order of `ELEMENTS`."""


@attrs.frozen(kw_only=True)
class QM9(DataSource):
    """Molecules as atoms with coordinates, and the targets of `UNITS`.

    `folder` has `qm9.csv.gz` with the columns of MoleculeNet, energies in hartree, and
    `geometry.npz`: `n_atoms` (N,), and of all atoms the atomic numbers `Z` (M,) and the coordinates
    `pos` (M, 3) in angstrom. Targets with ``_atom`` are energies of atomization: the energy less
    that of the single atoms.
    """

    folder: Path = Path("qm9")
    split: RandomSplit = attrs.field(factory=lambda: RandomSplit(validation=0.1, test=0.1))

    @property
    def label_targets(self) -> Mapping[str, type[Target]]:
        return dict.fromkeys(UNITS, NumberTarget)

    def load(self, loading: Loading) -> Data:
        folder = loading.base / self.folder
        ids, values = read_properties(folder / TABLE)
        molecules = _read_geometry(folder / GEOMETRY, len(ids))
        targets = {**values, **atomization(values, molecules.compositions())}
        for name in ("homo", "lumo", "zpve"):
            targets[name] = values[name] * HARTREE
        columns = {name: Numeric(targets[name], unit) for name, unit in UNITS.items()}
        data = random_splits(self.split, molecules, columns, ids)
        return attrs.evolve(data, inputs=molecules.specs())

    def read(self, rows: object, preprocessing: Mapping[str, Any], loading: Loading) -> Split:
        """Return the molecules of a file in the format XYZ, in angstrom."""
        if not isinstance(rows, str | Path):
            raise DataError(f"rows: got {type(rows).__name__}, expected the path of a file .xyz")
        molecules, ids = read_xyz(Path(rows))
        return Split(inputs=molecules, columns={}, ids=ids)


def atomization(values: Mapping[str, Tensor], counts: Tensor) -> dict[str, Tensor]:
    """Return energies less those of the single atoms, of which `counts` (N, 5) are the numbers."""
    return {
        f"{name}_atom": values[name] * HARTREE - counts.double() @ torch.tensor(free).double()
        for name, free in FREE_ATOMS.items()
    }


def read_properties(path: Path) -> tuple[list[str], dict[str, Tensor]]:
    """Return the names of the molecules, and their properties (N,) by column, in float64."""
    columns = ["mu", "alpha", "homo", "lumo", "r2", "zpve", *FREE_ATOMS, "cv"]
    with (
        readable(path, "; set the folder by `folder`"),
        gzip.open(path, "rt", encoding="utf-8", newline="") as file,
    ):
        table = csv.DictReader(file)
        absent = [name for name in ("mol_id", *columns) if name not in (table.fieldnames or ())]
        if absent:
            raise DataError(
                f"{path}: has no column {absent[0]!r}; expected the table of MoleculeNet"
            )
        rows = list(table)
    values = torch.empty(len(rows), len(columns), dtype=torch.float64)
    for number, row in enumerate(rows):
        for place, name in enumerate(columns):
            try:
                values[number, place] = float(row[name])
            except (TypeError, ValueError) as cause:
                raise DataError(
                    f"{path}: line {number + 2}: got {row[name]!r} for {name}, expected a number"
                ) from cause
    by_name = dict(zip(columns, values.unbind(dim=1), strict=True))
    return [row["mol_id"] for row in rows], by_name


def _read_geometry(path: Path, count: int) -> Molecules:
    """Return the atoms of `count` molecules."""
    with (
        readable(path, "; expected arrays `n_atoms`, `Z` and `pos`"),
        np.load(path, allow_pickle=False) as arrays,
    ):
        sizes, numbers, positions = (arrays[name] for name in ("n_atoms", "Z", "pos"))
    total = int(sizes.sum())
    if sizes.shape != (count,) or numbers.shape != (total,) or positions.shape != (total, 3):
        raise DataError(
            f"{path}: got n_atoms {sizes.shape}, Z {numbers.shape} and pos {positions.shape}, "
            f"expected ({count},), ({total},) and ({total}, 3), a molecule for each row of {TABLE}"
        )
    return Molecules(
        sizes=torch.from_numpy(sizes.astype(np.int64)),
        atoms=_codes(path, numbers),
        positions=torch.from_numpy(positions.astype(np.float32)),
    )


def _codes(path: Path, numbers: NDArray[Any]) -> Tensor:
    table = torch.full((256,), -1)
    table[torch.tensor(list(ELEMENTS.values()))] = torch.arange(len(ELEMENTS))
    codes = table[torch.from_numpy(numbers.astype(np.int64))]
    if (codes < 0).any():
        wrong = int(numbers[int((codes < 0).int().argmax())])
        raise DataError(
            f"{path}: got the atomic number {wrong}, expected one of "
            f"{', '.join(map(str, ELEMENTS.values()))}"
        )
    return codes
