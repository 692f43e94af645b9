"""Tabular data with labels: one table, in CSV or Parquet."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import torch

from mtlkit.data.dataset import Data, Split
from mtlkit.data.label_columns import LabelOptions, check_labels, check_names, units_of_numbers
from mtlkit.data.label_groups import RowLabels, grouped_columns, patterns, stated_targets
from mtlkit.data.listing.image_listing import Row
from mtlkit.data.listing.table_files import new_rows, read_table
from mtlkit.data.paths import find_file
from mtlkit.data.source import Loading
from mtlkit.data.split import SPLIT, RandomSplit, split_indices
from mtlkit.data.table_features import FeatureColumns, almost_numeric, fit_features
from mtlkit.errors import DataError, did_you_mean, shortened
from mtlkit.name_patterns import expand_names
from mtlkit.targets.base import Target


def _distinct(table: "Table", field: "attrs.Attribute[Any]", value: tuple[str, ...]) -> None:
    if not (value or table.vectors or table.multi_label) or len(set(value)) != len(value):
        raise ValueError(f"{field.name}: expected different columns, got {list(value)}")


def _labels_or_features(
    table: "Table", field: "attrs.Attribute[Any]", value: tuple[str, ...]
) -> None:
    """Accept labels, and columns of features as far as they are stated; see `_feature_names`."""
    known = (*expand_names(table.labels), *(table.features or ()))
    unknown = [name for name in value if name not in known]
    if unknown and table.features is not None:
        raise ValueError(
            f"{field.name}: {unknown[0]!r} is neither a label nor a feature; expected one of "
            f"{shortened(known)}"
        )


def _labels_only(table: "Table", field: "attrs.Attribute[Any]", value: Any) -> None:
    labels = expand_names(table.labels)  # a draft of a refused recipe still has patterns
    unknown = [name for name in value if name not in labels]
    if unknown:
        raise ValueError(
            f"{field.name}: {unknown[0]!r} is not a label; the labels are {shortened(labels)}"
        )


def _units(table: "Table", field: "attrs.Attribute[Any]", value: Mapping[str, str]) -> None:
    _labels_only(table, field, [label for label in value if label not in table.vectors])
    units_of_numbers(table, field, value)


def _vocabulary(table: "Table", field: "attrs.Attribute[Any]", value: Mapping[str, Any]) -> None:
    _labels_only(table, field, value)
    for label, names in value.items():
        check_names(label, names)


def _features(table: "Table", _: "attrs.Attribute[Any]", value: tuple[str, ...] | None) -> None:
    if value is None:
        return
    if not value or len(set(value)) != len(value):
        raise ValueError(f"features: expected different columns, got {list(value)}")
    both = [name for name in value if name in (*table.labels, table.key)]
    if both:
        raise ValueError(f"features: {both[0]!r} is a label or the key; remove it")


@attrs.frozen(kw_only=True)
class Table(LabelOptions):
    """The rows of a table: some columns are features, others are labels to predict.

    `file`, CSV or Parquet, is relative to the recipe, otherwise to the working directory.
    `features` are the input columns; None means all columns except labels, the `key` that names the
    rows, and `split`. A column of numbers is normalized to mean 0 and std 1 on the training rows.
    Any other column is one-hot encoded by its training values, which a note reports if most of its
    cells are numbers. An empty cell among the features is an error, unless `fill` is true: then it
    is the training mean, or zeros for one-hot inputs.

    `vectors` and `multi_label` group columns under one label, next to `labels` or instead of them:
    numbers, or 1 and 0 (also true and false), an empty cell being a missing element. A column may
    be a pattern such as ``NR-*``.

    `labels` and `numeric` may list names in braces, as in ``attr{1..40}`` or ``{left,right}_eye``.
    `labels` are classes, except for `numeric` ones; an empty cell is a missing label. Features may
    be listed in `numeric`, too, and then have no cell but numbers and empty ones. The names of
    classes are those of `vocabulary`, or the values in the training split in natural order.
    `units` are those of numbers and vectors, by label, shown with predictions. A column called
    `split` (train, validation or test) names the split of each row; without it, rows are split at
    random by the option `split`. The labels of `open_labels` may have other values in the test
    split.

    >>> Table(file=Path("wine.csv"), labels=("quality", "color"), numeric=("quality",)).fill
    False
    """

    file: Path
    labels: tuple[str, ...] = attrs.field(converter=expand_names, validator=_distinct)
    vectors: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict, validator=patterns)
    multi_label: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict, validator=patterns)
    numeric: tuple[str, ...] = attrs.field(
        default=(), converter=expand_names, validator=_labels_or_features
    )
    units: Mapping[str, str] = attrs.field(factory=dict, validator=_units)
    vocabulary: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict, validator=_vocabulary)
    key: str | None = None
    features: tuple[str, ...] | None = attrs.field(default=None, validator=_features)
    fill: bool = False
    split: RandomSplit | None = None  # None: by the column `split`, otherwise by the defaults
    open_labels: tuple[str, ...] = attrs.field(default=(), validator=_labels_only)

    @property
    def label_targets(self) -> Mapping[str, type[Target]]:
        return stated_targets(self, self.labels)

    def load(self, loading: Loading) -> Data:
        path = find_file(self.file, (loading.base, Path()), "data.file")
        rows = read_table(path, self.key)
        if not rows:
            raise DataError(f"{self.file}: the table has no rows")
        _refuse_repeated(rows)
        groups = grouped_columns(self, list(rows[0].labels))
        features = _feature_names(self, rows, groups)
        labeled = _labeled(self, rows)
        numbers = frozenset(self.numeric).intersection(features)
        options = attrs.evolve(self, numeric=[n for n in self.numeric if n not in numbers])
        check_labels(options, labeled)
        labels = RowLabels(options, rows, labeled, groups)
        indices = split_indices(self.split, labeled)
        columns = labels.columns(indices)
        fitted = fit_features(rows, features, indices["train"], rows[0].labels, numbers)
        inputs = fitted.encode(rows, fill=self.fill)
        splits = {
            name: Split(
                inputs=inputs[torch.tensor(chosen)],
                columns=columns[name],
                ids=[rows[index].file for index in chosen],
            )
            for name, chosen in indices.items()
        }
        summary = {"rows": str(len(rows)), "features": f"{len(features)}: {shortened(features)}"}
        return self.data(
            splits,
            summary | labels.summary(splits, "rows"),
            mean=0.0,
            std=1.0,
            preprocessing=fitted.to_json(),
            notes=tuple(almost_numeric(rows, fitted.columns)),
        )

    def read(self, rows: object, preprocessing: Mapping[str, Any], loading: Loading) -> Split:
        new = new_rows(rows, self.key)
        features = FeatureColumns.from_json(preprocessing)
        features.check_new(new, fill=self.fill)
        inputs = features.encode(new, fill=self.fill, new=True)
        return Split(inputs=inputs, columns={}, ids=[row.file for row in new])


def _refuse_repeated(rows: Sequence[Row]) -> None:
    first: dict[str, str] = {}
    for row in rows:
        if row.file in first:
            raise DataError(f"{row.place}: the row {row.file!r} is in {first[row.file]} already")
        first[row.file] = row.place


def _feature_names(
    config: Table, rows: Sequence[Row], groups: Mapping[str, Sequence[str]]
) -> list[str]:
    """Return the columns of features; `DataError` if the table lacks a configured column."""
    known = rows[0].labels
    options = {
        "labels": config.labels, "features": config.features or (), "numeric": config.numeric
    }  # fmt: skip
    for option, names in options.items():
        for name in names:
            if name not in known:
                raise DataError(
                    f"data.{option}: the table has no column {name!r}"
                    f"{did_you_mean(name, known)}; it has: {shortened(list(known))}"
                )
    # the label that groups the rows has other values in the test split
    labels = {*config.labels, *(name for names in groups.values() for name in names)}
    not_features = {*labels, SPLIT, *_split_labels(config)}
    others = [name for name in known if name not in not_features]
    features = list(config.features) if config.features is not None else others
    both = [name for name in features if name in labels]
    if both:
        raise DataError(f"data.features: {both[0]!r} is a column of a label; remove it")
    if not features:
        raise DataError("data.features: every column is a label; add a column of features")
    return features


def _labeled(config: Table, rows: Sequence[Row]) -> list[Row]:
    """Return the rows with only their labels and the columns that define their split."""
    names = dict.fromkeys((*config.labels, SPLIT, *_split_labels(config)))
    kept = [name for name in names if name in rows[0].labels]
    return [Row(row.file, {name: row.labels[name] for name in kept}, row.place) for row in rows]


def _split_labels(config: Table) -> list[str]:
    """Return the columns that the split reads."""
    split = config.split
    return [name for name in (split.groups, split.stratify) if name] if split else []
