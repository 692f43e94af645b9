"""QM9, all 130,831 molecules, from the tables of the package qm9pack or of MoleculeNet.

Paper: Raghunathan Ramakrishnan, Pavlo O. Dral, Matthias Rupp and O. Anatole von Lilienfeld,
"Quantum Chemistry Structures and Properties of 134 Kilo Molecules", Scientific Data 1, 2014.
"""

import ast
import csv
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs
import torch

from mtlkit.data import Data, Loading, NumberTarget, Numeric, RandomSplit, Target
from mtlkit.plugins import DataError
from mtlkit_benchmarks.molecules import ELEMENTS, Molecules
from mtlkit_benchmarks.qm9 import HARTREE, UNITS, atomization
from mtlkit_benchmarks.random_splits import random_splits
from mtlkit_benchmarks.trees.files import readable
from mtlkit_benchmarks.trees.layout import Layout, TreePart
from mtlkit_benchmarks.trees.source import OfficialTree

MOLECULES = 130_831
COLUMNS = {
    "mu": "Dipole_debye",
    "alpha": "Polarizability_bohr3",
    "homo": "HOMO_au",
    "lumo": "LUMO_au",
    "r2": "R2_bohr2",
    "zpve": "ZPVE_au",
    "u0": "InternalEnergy_0K_au",
    "u298": "InternalEnergy_298K_au",
    "h298": "Enthalphy_298K_au",  # as it is spelled in the package
    "g298": "GibbsFreeEnergy_298K_au",
    "cv": "Heatcapacity_Cv_cal_mol_K",
}
NAME, ATOMS, POSITIONS = "XYZ_file", "Elements", "XYZ_Ang"


@attrs.frozen(kw_only=True)
class QM9Pack(OfficialTree):
    """Molecules as atoms with coordinates, and the 11 targets of the published tables.

    `folder` has ``qm9_part1.csv``, ``qm9_part2.csv`` and ``qm9_part3.csv`` of the package qm9pack,
    which leave out the 3,054 molecules that failed a check. Targets are those of the source `qm9`.
    The published code holds 10,000 molecules out for validation and as many for testing.
    """

    folder: Path = Path("qm9pack")
    split: RandomSplit = attrs.field(
        factory=lambda: RandomSplit(validation=10_000 / MOLECULES, test=10_000 / MOLECULES, seed=42)
    )

    @property
    def label_targets(self) -> Mapping[str, type[Target]]:
        return dict.fromkeys(UNITS, NumberTarget)

    def layout(self) -> Layout:
        parts = tuple(TreePart(f"qm9_part{number}.csv", count=1) for number in (1, 2, 3))
        return Layout("QM9", "the folder data of the package qm9pack on PyPI", parts)

    def samples(self) -> Mapping[str, int]:
        return {"train": MOLECULES - 20_000, "validation": 10_000, "test": 10_000}

    def read_tree(self, folder: Path, loading: Loading) -> Data:
        names, sizes = list[str](), array("q")
        atoms, positions = array("q"), array("f")
        values = {name: array("d") for name in COLUMNS}
        codes = {element: code for code, element in enumerate(ELEMENTS)}
        for path in sorted(folder.glob("qm9_part*.csv")):
            for place, row in read_part(path):
                try:
                    elements = ast.literal_eval(row[ATOMS])
                    places = ast.literal_eval(row[POSITIONS])
                    atoms.extend(codes[element] for element in elements)
                    positions.extend(float(x) for position in places for x in position)
                    for name, column in COLUMNS.items():
                        values[name].append(float(row[column]))
                except (ValueError, SyntaxError, KeyError, TypeError) as cause:
                    raise DataError(
                        f"{place}: got a molecule that cannot be read: {cause!r}"
                    ) from cause
                if len(places) != len(elements) or any(len(position) != 3 for position in places):
                    raise DataError(
                        f"{place}: got {len(places)} positions of {len(elements)} atoms, expected "
                        f"one of three numbers for each"
                    )
                sizes.append(len(elements))
                names.append(row[NAME])
        molecules = Molecules(
            sizes=torch.frombuffer(sizes, dtype=torch.int64),
            atoms=torch.frombuffer(atoms, dtype=torch.int64),
            positions=torch.frombuffer(positions, dtype=torch.float32).view(-1, 3),
        )
        known = {name: torch.frombuffer(v, dtype=torch.float64) for name, v in values.items()}
        targets = {**known, **atomization(known, molecules.compositions())}
        targets |= {name: known[name] * HARTREE for name in ("homo", "lumo", "zpve")}
        columns = {name: Numeric(targets[name], unit) for name, unit in UNITS.items()}
        data = random_splits(self.split, molecules, columns, names)
        return attrs.evolve(data, inputs=molecules.specs())


def read_part(path: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield the rows of a table, each with its place."""
    with readable(path), path.open(encoding="utf-8", newline="") as file:
        table = csv.DictReader(file)
        absent = {NAME, ATOMS, POSITIONS, *COLUMNS.values()} - set(table.fieldnames or ())
        if absent:
            raise DataError(
                f"{path}: has no column {sorted(absent)[0]!r}, expected those of qm9pack"
            )
        for row in table:
            yield f"{path}: line {table.line_num}", row
