"""Tox21: toxicity of molecules in 12 assays, with missing labels.

Paper: Zhenqin Wu, Bharath Ramsundar, Evan N. Feinberg, Joseph Gomes, Caleb Geniesse, Aneesh S.
Pappu, Karl Leswing and Vijay Pande, "MoleculeNet: A Benchmark for Molecular Machine Learning",
Chemical Science 9, 2018.
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

from mtlkit.data import (
    Categorical,
    ClassTarget,
    Data,
    Labels,
    Loading,
    MultiLabelTarget,
    RandomSplit,
    Split,
    Target,
)
from mtlkit.plugins import MISSING, DataError
from mtlkit_benchmarks.random_splits import random_splits
from mtlkit_benchmarks.trees.files import readable
from mtlkit_benchmarks.trees.layout import Layout, TreePart
from mtlkit_benchmarks.trees.source import OfficialTree

ASSAYS = (
    "NR-AR",
    "NR-AR-LBD",
    "NR-AhR",
    "NR-Aromatase",
    "NR-ER",
    "NR-ER-LBD",
    "NR-PPAR-gamma",
    "SR-ARE",
    "SR-ATAD5",
    "SR-HSE",
    "SR-MMP",
    "SR-p53",
)
"""Names of the assays, as in the header of the table."""

MOLECULES = 8_014
TABLE, FEATURES = "tox21.csv.gz", "features.npz"
_CODES = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "": MISSING}


@attrs.frozen(kw_only=True)
class Tox21(OfficialTree):
    """Molecules as bits of their fingerprint, with the label of each assay, and of `assays`, all.

    `folder` has `tox21.csv.gz` of MoleculeNet, with the columns of the assays, `mol_id` and
    `smiles`, and `features.npz`, in which `fingerprint` (N, B / 8) in uint8 holds the packed bits
    of the molecules in the order of the table. A molecule without a set bit, whose SMILES cannot be
    parsed, is left out and counted in the summary. Each assay has the classes `inactive` and
    `active`; an empty cell is a missing label.
    """

    folder: Path = Path("tox21")
    split: RandomSplit = attrs.field(factory=lambda: RandomSplit(validation=0.1, test=0.2))

    @property
    def label_targets(self) -> Mapping[str, type[Target]]:
        return dict.fromkeys(ASSAYS, ClassTarget)

    def layout(self) -> Layout:
        page = (
            "MoleculeNet: the folder datasets of deepchem/deepchem on GitHub; make features.npz of "
            'its SMILES, as the page "Train on benchmark data sets" of the documentation says'
        )
        return Layout("Tox21", page, (TreePart(TABLE, count=1), TreePart(FEATURES, count=1)))

    def read_tree(self, folder: Path, loading: Loading) -> Data:
        ids, labels = read_assays(folder / TABLE)
        if self.complete and len(ids) != MOLECULES:
            raise DataError(
                f"{folder / TABLE}: got {len(ids):,} molecules, expected {MOLECULES:,}; set "
                f"`complete: false` to read a part of them"
            )
        bits = _read_bits(folder / FEATURES, len(ids))
        parsed = bits.any(dim=1).nonzero().flatten()
        unparsed = len(ids) - len(parsed)
        ids, bits, labels = [ids[row] for row in parsed.tolist()], bits[parsed], labels[parsed]
        columns = {
            name: Categorical(labels[:, number].contiguous(), ("inactive", "active"))
            for number, name in enumerate(ASSAYS)
        }
        every = Labels(MultiLabelTarget(names=ASSAYS), labels)
        data = random_splits(self.split, bits, {**columns, "assays": every}, ids)
        summary = {"molecules without a fingerprint": str(unparsed)}
        return attrs.evolve(data, mean=0.0, std=1.0, summary=summary)

    def read(self, rows: object, preprocessing: Mapping[str, Any], loading: Loading) -> Split:
        """Return the molecules of a file like `features.npz`."""
        if not isinstance(rows, str | Path):
            raise DataError(f"rows: got {type(rows).__name__}, expected the path of a file .npz")
        bits = _read_bits(Path(rows))
        return Split(inputs=bits, columns={}, ids=[f"molecule {n + 1}" for n in range(len(bits))])


def read_assays(path: Path) -> tuple[list[str], Tensor]:
    """Return the names of the molecules and their labels (N, 12): 0, 1 or -1 for a missing one."""
    with (
        readable(path, "; set the folder by `folder`"),
        gzip.open(path, "rt", encoding="utf-8", newline="") as file,
    ):
        table = csv.DictReader(file)
        header = table.fieldnames or []
        absent = [name for name in (*ASSAYS, "mol_id", "smiles") if name not in header]
        if absent:
            raise DataError(
                f"{path}: has no column {absent[0]!r}; expected the table of MoleculeNet"
            )
        rows = list(table)
    for number, row in enumerate(rows, start=2):
        for name in ASSAYS:
            if row[name] not in _CODES:
                raise DataError(
                    f"{path}: line {number}: got {row[name]!r} for {name}, expected 0, 1 or nothing"
                )
    ids = [row["mol_id"] for row in rows]
    codes = [[_CODES[row[name]] for name in ASSAYS] for row in rows]
    return ids, torch.tensor(codes, dtype=torch.int64).reshape(-1, len(ASSAYS))


def _read_bits(path: Path, count: int | None = None) -> Tensor:
    """Return the bits (N, B) of all molecules, `count` if it is given, in float32."""
    with (
        readable(path, "; expected an array `fingerprint`"),
        np.load(path, allow_pickle=False) as arrays,
    ):
        packed: NDArray[np.uint8] = arrays["fingerprint"]
    if packed.dtype != np.uint8 or packed.ndim != 2 or count not in (None, len(packed)):
        rows = "" if count is None else f", one row for each of the {count} rows of {TABLE}"
        raise DataError(
            f"{path}: got fingerprints {packed.shape} in {packed.dtype}, expected packed bits "
            f"(N, bits / 8) in uint8{rows}"
        )
    return torch.from_numpy(np.unpackbits(packed, axis=1)).float()
