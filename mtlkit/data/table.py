"""Rows of numbers and words with labels: one table, in CSV or Parquet."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from mtlkit.data.source import DataSource, Loading
from mtlkit.data.split import Division

if TYPE_CHECKING:
    from mtlkit.data.dataset import Data


def _some(table: "Table", field: "attrs.Attribute[Any]", value: tuple[str, ...]) -> None:
    if not value or len(set(value)) != len(value):
        raise ValueError(f"{field.name}: expected different columns, found {list(value)}")


def _labels_only(table: "Table", field: "attrs.Attribute[Any]", value: Any) -> None:
    strange = [name for name in value if name not in table.labels]
    if strange:
        raise ValueError(
            f"{field.name}: {strange[0]!r} is none of the labels, which are "
            f"{', '.join(table.labels)}"
        )


def _features(table: "Table", _: "attrs.Attribute[Any]", value: tuple[str, ...] | None) -> None:
    if value is None:
        return
    if not value or len(set(value)) != len(value):
        raise ValueError(f"features: expected different columns, found {list(value)}")
    both = [name for name in value if name in (*table.labels, table.key)]
    if both:
        raise ValueError(f"features: {both[0]!r} is a label or the key; a model must not see it")


@attrs.frozen(kw_only=True)
class Table(DataSource):
    """The rows of a table: some columns are what is known, others the labels to predict.

    `file`, CSV or Parquet, is relative to the recipe, or else to the working directory. `features`
    are the columns that a model sees; None means all that are neither labels, nor the `key` that
    names the rows, nor `split`. A column of numbers is brought to mean 0 and deviation 1 by the
    training rows; any other becomes one input of 0 or 1 for each of its training values. An empty
    cell among the features is an error unless `fill` puts the training mean (for words: none of
    the values) in its place.

    `labels` are classes, with the names found in training in natural order or those of
    `vocabulary`, except for `numeric` ones; an empty cell is a missing label. A column called
    `split` (train, validation or test) divides the rows, or else `split` does, with the labels of
    `open_labels` strangers in the test.

    >>> Table(file=Path("wine.csv"), labels=("quality", "colour"), numeric=("quality",)).fill
    False
    """

    file: Path
    labels: tuple[str, ...] = attrs.field(validator=_some)
    numeric: tuple[str, ...] = attrs.field(default=(), validator=_labels_only)
    vocabulary: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict, validator=_labels_only)
    key: str | None = None
    features: tuple[str, ...] | None = attrs.field(default=None, validator=_features)
    fill: bool = False
    split: Division | None = None  # None: the column `split`, or else the defaults of a division
    open_labels: tuple[str, ...] = attrs.field(default=(), validator=_labels_only)

    def load(self, loading: Loading) -> "Data":
        from mtlkit.data.load_table import load_table

        return load_table(self, loading)
