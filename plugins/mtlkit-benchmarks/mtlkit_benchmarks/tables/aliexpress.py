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

from mtlkit.data import Categorical, Data, InputSpec, Loading, Split
from mtlkit.plugins import DataError, one_of
from mtlkit_benchmarks.trees.files import readable
from mtlkit_benchmarks.trees.layout import Layout, TreePart
from mtlkit_benchmarks.trees.on_access import Numbered
from mtlkit_benchmarks.trees.source import WithoutValidation

FIELDS = 16
"""Number of columns with ids of categories, after the first column, the id of the search."""

LABELS = ("click", "conversion")
"""The last two columns."""


@attrs.frozen(eq=False)
class CsvRows:
    """Lines of a table by index, whose positions in bytes are `starts`; read on access.

    The inputs are `ids` (N, 16), with `offsets` added so that no two fields share an id, and
    `numbers` (N, P).
    """

    path: Path
    starts: Tensor
    offsets: Tensor

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: Tensor, /) -> Mapping[str, Tensor]:
        rows = []
        with readable(self.path), self.path.open("rb") as file:
            for start in self.starts[index].tolist():
                file.seek(start)
                rows.append(np.array(file.readline().split(b","), dtype=np.float64))
        values = torch.from_numpy(np.stack(rows))
        ids = values[:, 1 : 1 + FIELDS].long() + self.offsets
        return {"ids": ids, "numbers": values[:, 1 + FIELDS : -len(LABELS)].float()}


@attrs.frozen
class TableScan:
    """The start of each line of a table, the labels, and the largest ids, read in one pass."""

    starts: Tensor
    labels: Mapping[str, Tensor]
    largest: tuple[int, ...]
    numbers: int


@attrs.frozen(kw_only=True)
class AliExpress(WithoutValidation):
    """Items shown in a search with the labels `click` and `conversion`, each no or yes.

    `folder` has ``AliExpress_COUNTRY/{train,test}.csv`` with a header: an id, 16 ids of categories,
    numbers, click and conversion. The sizes of the vocabularies are those of both files together.
    Lines are read on access, so that memory holds 24 bytes for each.
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
                inputs=CsvRows(files[name], table.starts, offsets),
                columns={
                    label: Categorical(codes, ("no", "yes"))
                    for label, codes in table.labels.items()
                },
                ids=Numbered(name, len(table.starts)),
            )
            for name, table in scans.items()
        }
        specs = {
            "ids": InputSpec(shape=(FIELDS,), dtype="int64", vocabulary=int(sizes.sum())),
            "numbers": InputSpec(shape=(scans["train"].numbers,)),
        }
        return Data(train=splits["train"], test=splits["test"], inputs=specs)


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
            starts.append(position)
            for known, flag in zip(labels, flags, strict=True):
                known.append(int(flag))
            position += len(line)
    if not starts:
        raise DataError(f"{path}: has no row")
    codes = [torch.frombuffer(known, dtype=torch.int8).long() for known in labels]
    return TableScan(
        torch.frombuffer(starts, dtype=torch.int64),
        dict(zip(LABELS, codes, strict=True)),
        tuple(largest.tolist()),
        columns - 1 - FIELDS - len(LABELS),
    )
