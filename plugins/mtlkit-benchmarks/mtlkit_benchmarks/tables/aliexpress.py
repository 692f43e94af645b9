"""AliExpress: clicks and purchases in searches, by country.

Paper: Pengcheng Li, Runze Li, Qing Da, An-Xiang Zeng and Lijun Zhang, "Improving Multi-Scenario
Learning to Rank in E-commerce by Exploiting Task Relationships in the Label Space", CIKM 2020.
"""

from array import array
from collections.abc import Mapping
from pathlib import Path

import attrs
import numpy as np
import torch
from torch import Tensor

from mtlkit.data import ClassTarget, Data, InputSpec, Labels, Loading, Split
from mtlkit.plugins import DataError, one_of
from mtlkit_benchmarks.trees.files import readable
from mtlkit_benchmarks.trees.layout import Layout, TreePart
from mtlkit_benchmarks.trees.on_access import Numbered
from mtlkit_benchmarks.trees.source import WithoutValidation

FIELDS = 16
"""Number of columns with ids of categories, after the first column, the id of the search."""

LABELS = ("click", "conversion")
"""The last two columns."""

BLOCK = 16
"""Number of lines from one known position in a file to the next."""


@attrs.frozen(eq=False)
class CsvRows:
    """Lines of a table by index, read on access; `starts` are the bytes of each 16th line.

    The inputs are `ids` (N, 16), with `offsets` added so that no two fields share an id, and
    `numbers` (N, P). They are those of the lines `places`, or of all `count` lines.
    """

    path: Path
    starts: Tensor
    count: int
    offsets: Tensor
    places: Tensor | None = None

    def __len__(self) -> int:
        return self.count if self.places is None else len(self.places)

    def __getitem__(self, index: Tensor, /) -> Mapping[str, Tensor]:
        places = index if self.places is None else self.places[index]
        rows = []
        with readable(self.path), self.path.open("rb") as file:
            for place in places.tolist():
                file.seek(int(self.starts[place // BLOCK]))
                for _ in range(place % BLOCK):
                    file.readline()
                rows.append(np.array(file.readline().split(b","), dtype=np.float64))
        values = torch.from_numpy(np.stack(rows))
        ids = values[:, 1 : 1 + FIELDS].long() + self.offsets
        return {"ids": ids, "numbers": values[:, 1 + FIELDS : -len(LABELS)].float()}


@attrs.frozen(eq=False)
class ByteCodes:
    """Codes (N,) in int64 that are stored as bytes."""

    stored: Tensor

    def __len__(self) -> int:
        return len(self.stored)

    def __getitem__(self, index: Tensor, /) -> Tensor:
        return self.stored[index].long()


@attrs.frozen
class TableScan:
    """The start of each 16th line of a table, the labels, and the largest ids, in one pass."""

    starts: Tensor
    labels: Mapping[str, ByteCodes]
    count: int
    largest: tuple[int, ...]
    numbers: int


@attrs.frozen(kw_only=True)
class AliExpress(WithoutValidation):
    """Items shown in a search with the labels `click` and `conversion`, each no or yes.

    `folder` has ``AliExpress_COUNTRY/{train,test}.csv`` with a header: an id, 16 ids of categories,
    numbers, click and conversion. The sizes of the vocabularies are those of both files together.
    Lines are read on access: memory holds 3 bytes for each, and 8 more if some of those for
    training are for validation.
    """

    folder: Path = Path("aliexpress")
    country: str = attrs.field(default="NL", validator=one_of("NL", "ES", "FR", "US"))

    def layout(self) -> Layout:
        parts = tuple(
            TreePart(f"AliExpress_{self.country}/{name}.csv", (f"{name}.csv",), 1)
            for name in ("train", "test")
        )
        page = "the page AliExpress Searching of tianchi.aliyun.com, data set 74690"
        return Layout(f"AliExpress {self.country}", page, parts)

    def read_tree(self, folder: Path, loading: Loading) -> Data:
        below = folder / f"AliExpress_{self.country}"
        files = {
            name: (below if below.is_dir() else folder) / f"{name}.csv"
            for name in ("train", "test")
        }
        scans = {name: scan(path) for name, path in files.items()}
        if len({table.numbers for table in scans.values()}) > 1:
            raise DataError(f"{folder}: got train.csv and test.csv of different columns")
        largest = torch.tensor([table.largest for table in scans.values()]).amax(dim=0)
        sizes = largest + 1
        offsets = sizes.cumsum(0) - sizes
        splits = {
            name: Split(
                inputs=CsvRows(files[name], table.starts, table.count, offsets),
                columns={
                    label: Labels(ClassTarget(names=("no", "yes")), codes)
                    for label, codes in table.labels.items()
                },
                ids=Numbered(name, table.count),
            )
            for name, table in scans.items()
        }
        specs = {
            "ids": InputSpec(shape=(FIELDS,), dtype="int64", vocabulary=int(sizes.sum())),
            "numbers": InputSpec(shape=(scans["train"].numbers,)),
        }
        return Data(train=splits["train"], test=splits["test"], inputs=specs)

    def _divided(self, train: Split, fraction: float) -> tuple[Split, Split]:
        # by number, because the names of all rows take too much memory
        count, held = len(train), round(fraction * len(train))
        if held == 0:
            raise DataError(f"validation: {fraction} of {count} rows is less than one; use 0")
        random = torch.Generator().manual_seed(self.seed)
        chosen = torch.zeros(count, dtype=torch.bool)
        chosen[torch.randperm(count, generator=random, dtype=torch.int32)[:held].long()] = True
        return _part(train, ~chosen), _part(train, chosen)


def _part(split: Split, chosen: Tensor) -> Split:
    places = chosen.nonzero().flatten()
    assert isinstance(split.inputs, CsvRows)
    assert isinstance(split.ids, Numbered)
    return Split(
        inputs=attrs.evolve(split.inputs, places=places),
        columns={name: column.subset(places) for name, column in split.columns.items()},
        ids=attrs.evolve(split.ids, places=places),
    )


def scan(path: Path) -> TableScan:
    """Read a table once; `DataError` names the line of a mistake."""
    starts, labels = array("q"), [array("b"), array("b")]
    largest = np.zeros(FIELDS, dtype=np.int64)
    with readable(path), path.open("rb") as file:
        columns = len(file.readline().split(b","))
        if columns < 1 + FIELDS + len(LABELS):
            raise DataError(f"{path}: got {columns} columns, expected at least {3 + FIELDS}")
        position = file.tell()
        for number, line in enumerate(file, start=2):
            cells = line.split(b",")
            try:
                ids = np.array(cells[1 : 1 + FIELDS], dtype=np.float64).astype(np.int64)
                flags = [float(cell) for cell in cells[-2:]]
            except ValueError as cause:
                raise DataError(f"{path}: line {number}: {cause}") from cause
            if len(cells) != columns or ids.min() < 0 or set(flags) - {0.0, 1.0}:
                raise DataError(
                    f"{path}: line {number}: got {line[:60]!r}, expected {columns} columns, of "
                    f"which the ids are at least 0 and the last two 0 or 1"
                )
            np.maximum(largest, ids, out=largest)
            if len(labels[0]) % BLOCK == 0:
                starts.append(position)
            for known, flag in zip(labels, flags, strict=True):
                known.append(int(flag))
            position += len(line)
    if not starts:
        raise DataError(f"{path}: has no row")
    codes = [ByteCodes(torch.frombuffer(known, dtype=torch.int8)) for known in labels]
    return TableScan(
        torch.frombuffer(starts, dtype=torch.int64),
        dict(zip(LABELS, codes, strict=True)),
        len(labels[0]),
        tuple(largest.tolist()),
        columns - 1 - FIELDS - len(LABELS),
    )
