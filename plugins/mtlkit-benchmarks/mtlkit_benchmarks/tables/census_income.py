"""Census-Income (KDD): income, marital status and education of persons.

Paper: Jiaqi Ma, Zhe Zhao, Xinyang Yi, Jilin Chen, Lichan Hong and Ed H. Chi, "Modeling Task
Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts", KDD 2018, section 5.2; the
data set is that of the UCI Machine Learning Repository.
"""

import gzip
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
import torch

from mtlkit.data import Categorical, Column, Data, Loading, RandomSplit, Split, split_samples
from mtlkit.plugins import DataError, one_of
from mtlkit_benchmarks.tables.encoded_rows import Encoding
from mtlkit_benchmarks.trees.files import first_file, readable
from mtlkit_benchmarks.trees.layout import Layout, TreePart
from mtlkit_benchmarks.trees.source import OfficialTree

COLUMNS = 42
NUMBERS = (0, 5, 16, 17, 18, 30, 39)
"""Age, wage per hour, capital gains and losses, dividends, employees, and weeks worked."""

EDUCATION, MARITAL, WEIGHT, INCOME = 4, 7, 24, 41
COLLEGE = ("Some college but no degree", "Associates degree-occup /vocational",
           "Associates degree-academic program", "Bachelors degree(BA AB BS)",
           "Masters degree(MA MS MEng MEd MSW MBA)", "Prof school degree (MD DDS DVM LLB JD)",
           "Doctorate degree(PhD EdD)")  # fmt: skip
TRUE = {
    "income": (INCOME, ("50000+.",)),
    "never_married": (MARITAL, ("Never married",)),
    "college": (EDUCATION, COLLEGE),
}
"""The column of each label, and the values for which it is true."""

GROUPS = {"income": ("income", "never_married"), "education": ("college", "never_married")}


@attrs.frozen(kw_only=True)
class CensusIncome(OfficialTree):
    """Persons with two labels, each no or yes, of a `group` of Ma et al.

    The group ``income`` has `income` above 50,000 dollars and `never_married`; ``education`` has
    `college`, that is at least some college, and `never_married`. `folder` has
    ``census-income.data`` for training and ``census-income.test``, also with ``.gz``, of which one
    half is for validation, drawn by `seed`. If the file for training is absent and `complete` is
    false, 60 percent of the other are used for training.

    Labels and the weight of the row are not features. Numbers are normalized, and other columns
    one-hot encoded, on the training rows.
    """

    folder: Path = Path("census-income")
    group: str = attrs.field(default="income", validator=one_of(*GROUPS))
    seed: int = 0

    def layout(self) -> Layout:
        names = ("census-income.data", "census-income.test")[0 if self.complete else 1 :]
        parts = tuple(TreePart(name, (f"{name}.gz",), 1) for name in names)
        return Layout("Census-Income (KDD)", "its page at archive.ics.uci.edu", parts)

    def samples(self) -> Mapping[str, int]:
        return {"train": 199_523, "validation": 49_881, "test": 49_881}

    def read_tree(self, folder: Path, loading: Loading) -> Data:
        rows = read_rows(first_file(folder, "census-income.test", "census-income.test.gz"))
        if any(folder.glob("census-income.data*")):
            train = read_rows(first_file(folder, "census-income.data", "census-income.data.gz"))
            split = RandomSplit(validation=0.0, test=0.5, seed=self.seed)
            halves = self._drawn(rows, split)
            parts = {"train": train, "validation": halves["train"], "test": halves["test"]}
        else:
            parts = self._drawn(rows, RandomSplit(validation=0.2, test=0.2, seed=self.seed))
        labels = GROUPS[self.group]
        unused = {WEIGHT, *(TRUE[label][0] for label in labels)}
        numbers = [place for place in NUMBERS if place not in unused]
        others = [p for p in range(COLUMNS) if p not in NUMBERS and p not in unused]
        encoding = Encoding.fit(parts["train"], numbers, others)
        splits = {
            name: Split(
                inputs=encoding.encode(part),
                columns={label: _column(part, label) for label in labels},
                ids=[f"{name} {number}" for number in range(len(part))],
            )
            for name, part in parts.items()
        }
        return Data(
            train=splits["train"], validation=splits["validation"], test=splits["test"],
            mean=0.0, std=1.0,
        )  # fmt: skip

    def _drawn(
        self, rows: Sequence[Sequence[str]], split: RandomSplit
    ) -> dict[str, list[list[str]]]:
        names = [str(number) for number in range(len(rows))]
        indices = split_samples(split, names, None)
        return {name: [list(rows[i]) for i in index] for name, index in indices.items()}


def read_rows(path: Path) -> list[list[str]]:
    """Return the cells of each line, which are separated by a comma and a blank."""
    read = gzip.open if path.suffix == ".gz" else open
    rows = []
    with readable(path), read(path, "rt", encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            # equal texts are one object, as most of the cells are equal to others
            cells = [sys.intern(cell.strip()) for cell in line.strip().split(", ")]
            if len(cells) != COLUMNS:
                raise DataError(
                    f"{path}: line {number}: got {len(cells)} columns, expected {COLUMNS}"
                )
            rows.append(cells)
    wrong = {row[INCOME] for row in rows} - {"50000+.", "- 50000."}
    if wrong:
        raise DataError(
            f"{path}: got the income {sorted(wrong)[0]!r}, expected 50000+. or - 50000."
        )
    return rows


def _column(rows: Sequence[Sequence[str]], label: str) -> Column:
    place, values = TRUE[label]
    codes = torch.tensor([row[place] in values for row in rows]).long()
    return Categorical(codes, ("no", "yes"))
