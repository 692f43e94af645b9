"""The tables of published results, with the protocol of each and what is doubtful in it."""

import math
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import attrs
import numpy as np

from mtlkit.comparison import delta_by_metric, delta_by_task, rank

FOLDER = Path(__file__).parent

BY_METRIC, BY_TASK, BY_TASK_LOSS = (
    "by metric, lower is better",
    "by task, higher is better",
    "by task, lower is better",
)
"""Definitions of delta-m."""


@attrs.frozen
class PublishedRow:
    """A method's metrics and its printed delta, NaN if not known; `remark` names every doubt."""

    method: str
    values: tuple[float, ...]
    delta: float
    source: str
    remark: str = ""

    @property
    def whole(self) -> bool:
        """Return True if every metric is known."""
        return not any(map(math.isnan, self.values))

    @property
    def doubtful(self) -> bool:
        """Return True if a number of the row is misprinted or remembered."""
        return self.remark.startswith(("misprinted", "remembered"))


@attrs.frozen(kw_only=True)
class PublishedTable:
    """Rows of one protocol: network, batch, epochs, rule of selection, and definition of delta-m.

    `metrics` are the names of the columns in mtlkit, multiplied by `scale` in print. `variant` is
    the part of a source that the table is about, and `recipe` the recipe of its protocol.
    `averages` states the averages of the code.
    """

    name: str
    title: str
    data: str
    network: str
    batch: int
    epochs: int
    selection: str
    averages: str
    delta: str
    baseline: str
    note: str
    columns: tuple[str, ...]
    metrics: tuple[str, ...]
    scale: tuple[float, ...]
    higher: tuple[bool, ...]
    rows: tuple[PublishedRow, ...]
    variant: str = ""
    recipe: str = ""
    folded: bool = False  # the columns are too many to be shown

    @property
    def tasks(self) -> dict[str, dict[str, bool]]:
        """The metrics of each task, and whether higher is better."""
        tasks: dict[str, dict[str, bool]] = {}
        for name, higher in zip(self.metrics, self.higher, strict=True):
            task = name.partition("/")[0]
            if task != "mean":  # an average that the paper shows is not a metric of a task
                tasks.setdefault(task, {})[name] = higher
        return tasks

    def row(self, method: str) -> PublishedRow | None:
        """Return the row of `method`, or None."""
        return next((row for row in self.rows if row.method == method), None)

    def delta_of(self, values: Sequence[float], base: Sequence[float]) -> float:
        """Return the delta-m of metrics in print over those of a baseline, by the definition here.

        It is NaN if a metric is, or if the table has no delta.
        """
        if not self.baseline or any(map(math.isnan, (*values, *base))):
            return math.nan
        one, other = (dict(zip(self.metrics, v, strict=True)) for v in (values, base))
        if self.delta == BY_METRIC:
            return delta_by_metric(one, other, self.tasks)
        return delta_by_task(one, other, self.tasks) * (1 if self.delta == BY_TASK else -1)

    def computed(self, row: PublishedRow) -> float:
        """Return the delta-m of a row over the baseline's row, from the printed digits."""
        base = self.row(self.baseline)
        return math.nan if base is None or base is row else self.delta_of(row.values, base.values)

    def printed(self, metrics: Mapping[str, float]) -> tuple[float, ...]:
        """Return metrics of mtlkit in the scale of print, NaN for those that were not measured."""
        pairs = zip(self.metrics, self.scale, strict=True)
        return tuple(metrics.get(name, math.nan) * scale for name, scale in pairs)


def mean_ranks(
    rows: Mapping[str, Sequence[float]], higher: Sequence[bool], digits: int = 12
) -> dict[str, float]:
    """Return the mean over metrics of the rank of each method, 1 being best; ties share a rank.

    A mean rank depends on the methods that are ranked, so it is computed for the rows that are
    shown, never copied from print.

    >>> mean_ranks({"a": (1.0, 3.0), "b": (2.0, 3.0)}, (True, False))
    {'b': 1.25, 'a': 1.75}
    """
    signs = np.where(np.array(higher), 1.0, -1.0)
    table = {
        name: [round(float(v), digits) for v in np.array(x) * signs] for name, x in rows.items()
    }
    return dict(rank(table, [str(place) for place in range(len(higher))]).ranks)


@cache
def published_tables() -> tuple[PublishedTable, ...]:
    """Return all tables, by name."""
    return tuple(map(_read, sorted(FOLDER.glob("*.toml"))))


def tables_of(data: str, variant: str = "") -> list[PublishedTable]:
    """Return the tables of a data source, all code families among them."""
    return [t for t in published_tables() if t.data == data and t.variant in ("", variant)]


def _read(path: Path) -> PublishedTable:
    values = tomllib.loads(path.read_text(encoding="utf-8"))
    rows = tuple(
        PublishedRow(method, tuple(map(float, numbers)), float(delta), source, remark)
        for method, numbers, delta, source, remark in values.pop("rows")
    )
    lists = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
    return PublishedTable(name=path.stem, rows=rows, **{**values, **lists})
