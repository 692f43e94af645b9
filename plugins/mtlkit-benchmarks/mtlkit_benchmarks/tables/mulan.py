"""The data sets of Mulan in ARFF: several numbers, or several labels, of each row.

Paper: Grigorios Tsoumakas, Eleftherios Spyromitros-Xioufis, Jozef Vilcek and Ioannis Vlahavas,
"Mulan: A Java Library for Multi-Label Learning", Journal of Machine Learning Research 12, 2011.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
import torch
from torch import Tensor

from mtlkit.data import (
    Column,
    Data,
    Labels,
    Loading,
    MultiLabelTarget,
    RandomSplit,
    Split,
    VectorTarget,
    split_samples,
)
from mtlkit.plugins import MISSING, DataError, at_least, optional
from mtlkit_benchmarks.tables import arff
from mtlkit_benchmarks.tables.arff import Arff, Attribute, read_arff
from mtlkit_benchmarks.trees.files import read_lines
from mtlkit_benchmarks.trees.layout import Layout, TreePart
from mtlkit_benchmarks.trees.source import OfficialTree

TARGETS = {"wq": 14, "atp1d": 6, "atp7d": 6, "osales": 12, "scpf": 3, "jura": 3, "enb": 2, "edm": 2,
           "slump": 3, "andro": 6, "oes10": 16, "oes97": 16, "rf1": 8, "rf2": 8, "scm1d": 16,
           "scm20d": 16, "sf1": 3, "sf2": 3}  # fmt: skip
"""Number of targets, the last columns, of the sets with several numbers."""

ROWS = {"wq": 1060, "atp1d": 337, "osales": 639, "scpf": 1137, "jura": 359, "enb": 768, "edm": 154,
        "slump": 103, "emotions": 593}  # fmt: skip


@attrs.frozen(kw_only=True)
class Mulan(OfficialTree):
    """Rows with the label `targets` of several numbers, or `labels` of several true or false ones.

    `folder` has ``NAME.arff``, whose last columns are the targets: as many as are published for the
    name, or `targets` of them. With ``NAME.xml``, which lists the names of labels, the columns of
    these names are the labels. ``NAME-train.arff`` and ``NAME-test.arff`` are the official cut, and
    a part `validation` of the former is for validation; otherwise rows are divided by `split`.

    Numbers are normalized, and nominal columns one-hot encoded, on the training rows. A missing
    feature is 0, the training mean; their number is in the summary.
    """

    folder: Path = Path("mulan")
    name: str
    targets: int | None = attrs.field(default=None, validator=optional(at_least(1)))
    validation: float = 0.1
    split: RandomSplit = attrs.field(factory=RandomSplit)

    def layout(self) -> Layout:
        page = "the page Datasets of mulan.sourceforge.net, or tsoumakas/mulan on GitHub"
        return Layout(f"{self.name} of Mulan", page, (TreePart(f"{self.name}*.arff"),))

    def read_tree(self, folder: Path, loading: Loading) -> Data:
        names = [self.name, f"{self.name}-train", f"{self.name}-test"]
        files = {name: path for name in names if (path := folder / f"{name}.arff").is_file()}
        if set(files) == set(names[1:]):
            train, test = (read_arff(files[name]) for name in names[1:])
            if train.attributes != test.attributes:
                raise DataError(f"{folder}: got other attributes in {names[1]} than in {names[2]}")
            whole = Arff(train.attributes, [*train.rows, *test.rows])
            ids = [str(number) for number in range(len(train.rows))]
            split = RandomSplit(validation=self.validation, test=0.0, seed=self.split.seed)
            indices = split_samples(split, ids, None)
            indices["test"] = list(range(len(train.rows), len(whole.rows)))
        elif self.name in files:
            whole = read_arff(files[self.name])
            indices = split_samples(self.split, [str(n) for n in range(len(whole.rows))], None)
        else:
            raise DataError(f"{folder}: has no {self.name}.arff, or {names[1]} and {names[2]}")
        expected = ROWS.get(self.name)
        if self.complete and expected not in (None, len(whole.rows)):
            raise DataError(
                f"{folder}: got {len(whole.rows)} rows of {self.name}, expected {expected}"
            )
        return self._data(folder, whole, indices)

    def _data(self, folder: Path, whole: Arff, indices: Mapping[str, Sequence[int]]) -> Data:
        listed = label_names(folder / f"{self.name}.xml")
        places = _label_places(
            folder, whole.attributes, listed, self.targets or TARGETS.get(self.name)
        )
        features = [place for place in range(len(whole.attributes)) if place not in places]
        encoded = torch.cat([_encoded(whole, place, indices["train"]) for place in features], dim=1)
        names = tuple(whole.attributes[place].name for place in places)
        values = torch.stack([_numbers(whole, place) for place in places], dim=1)
        column: Column = Labels(VectorTarget(names=names), values.float())
        if listed:
            codes = torch.where(values.isnan(), MISSING, values).long()
            column = Labels(MultiLabelTarget(names=names), codes)
        label = "labels" if listed else "targets"
        empty = sum(row[place] == arff.MISSING for row in whole.rows for place in features)
        splits = {
            name: Split(
                inputs=encoded[torch.tensor(index)],
                columns={label: column.subset(torch.tensor(index))},
                ids=[f"row {i}" for i in index],
            )
            for name, index in indices.items()
        }
        return Data(
            train=splits["train"], validation=splits.get("validation"), test=splits.get("test"),
            mean=0.0, std=1.0, summary={"missing features": str(empty)},
        )  # fmt: skip


def label_names(path: Path) -> list[str]:
    """Return the names in the file of labels, nested ones included; none without a file."""
    if not path.is_file():
        return []
    # a list of tags, so that no parser of XML with its entities is needed
    names = re.findall(r"<label\s+name=\"([^\"]*)\"", "\n".join(read_lines(path)))
    if not names:
        raise DataError(f"{path}: has no <label name=...>")
    return names


def _label_places(
    folder: Path, attributes: Sequence[Attribute], listed: Sequence[str], targets: int | None
) -> list[int]:
    known = [attribute.name for attribute in attributes]
    if listed:
        missing = [name for name in listed if name not in known]
        if missing:
            raise DataError(f"{folder}: the label {missing[0]!r} of the .xml is not an attribute")
        return [known.index(name) for name in listed]
    if targets is None or targets >= len(known):
        raise DataError(f"{folder}: got no number of targets; set `targets`, the last columns")
    return list(range(len(known) - targets, len(known)))


def _numbers(whole: Arff, place: int) -> Tensor:
    """Return the numbers (N,) of a column, or the places of nominal values; NaN if missing."""
    values = whole.attributes[place].values
    codes = {name: float(code) for code, name in enumerate(values)} | {arff.MISSING: float("nan")}
    if set(values) <= {"0", "1"} and values:
        codes |= {name: float(name) for name in values}
    cells = (row[place] for row in whole.rows)
    return torch.tensor([codes[c] if c in codes else float(c) for c in cells], dtype=torch.float64)


def _encoded(whole: Arff, place: int, train: Sequence[int]) -> Tensor:
    """Return a column of features (N, F): normalized, or one-hot."""
    values, numbers = whole.attributes[place].values, _numbers(whole, place)
    if values:
        cells = [row[place] for row in whole.rows]
        return torch.tensor([[float(cell == value) for value in values] for cell in cells])
    known = numbers[torch.tensor(train)]
    known = known[~known.isnan()]
    mean = known.mean() if len(known) else torch.tensor(0.0)
    deviation = known.std(correction=0) if len(known) else torch.tensor(0.0)
    scaled = (numbers - mean) / (deviation if deviation > 0 else 1.0)
    return scaled.nan_to_num(0.0).float().unsqueeze(1)
