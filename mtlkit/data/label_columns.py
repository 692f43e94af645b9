"""Columns of labels from their text: classes by vocabulary, numbers, and what is missing."""

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

import torch

from mtlkit.data.dataset import Categorical, Column, Numeric
from mtlkit.data.image_listing import Row
from mtlkit.data.split import RandomSplit
from mtlkit.errors import DataError

SHOWN = 10
"""How many labels a message names before it only counts them."""


class Labelled(Protocol):
    """What a source says of its labels; see `mtlkit.data.images.Images`."""

    @property
    def numeric(self) -> tuple[str, ...]:
        """The labels that are numbers."""

    @property
    def vocabulary(self) -> Mapping[str, tuple[str, ...]]:
        """The classes of labels whose classes are fixed."""

    @property
    def open_labels(self) -> tuple[str, ...]:
        """The labels whose test values are not all seen in training."""

    @property
    def split(self) -> RandomSplit | None:
        """The random split, if no label names the split of a sample."""


def named(words: Sequence[str]) -> str:
    """The words one after another, no more than a reader wants.

    >>> named(["a", "b"])
    'a, b'
    """
    more = f", ... ({len(words)} in all)" if len(words) > SHOWN else ""
    return ", ".join(words[:SHOWN]) + more


def check_labels(config: Labelled, rows: Sequence[Row]) -> None:
    """Raise `DataError` for options that name no label, and labels that their options forbid."""
    if not rows:
        return
    known = sorted(rows[0].labels)
    split = config.split
    options = {
        "numeric": list(config.numeric),
        "vocabulary": list(config.vocabulary),
        "open_labels": list(config.open_labels),
        "split.groups": [split.groups] if split and split.groups else [],
        "split.stratify": [split.stratify] if split and split.stratify else [],
    }
    for option, names in options.items():
        for name in names:
            if name not in known:
                raise DataError(
                    f"data.{option}: there is no label {name!r}; there are: {named(known)}"
                )
    wrong = [
        f"  {row.place}: {name}: {complaint}" + ("" if row.place == row.file else f" ({row.file})")
        for row in rows
        for name, value in row.labels.items()
        if value is not None and (complaint := _complaint(config, name, value))
    ]
    if wrong:
        more = [f"  and {len(wrong) - SHOWN} more"] if len(wrong) > SHOWN else []
        count = "1 label" if len(wrong) == 1 else f"{len(wrong)} labels"
        raise DataError("\n".join([f"{count} cannot be used:", *wrong[:SHOWN], *more]))


def _complaint(config: Labelled, name: str, value: str) -> str | None:
    if name in config.numeric and not math.isfinite(_number(value)):
        return f"expected a number, found {value!r}"
    names = config.vocabulary.get(name)
    if names is not None and value not in names:
        return f"found {value!r}, which is outside the vocabulary: {named(names)}"
    return None


def _number(value: str | None) -> float:
    """NaN for what is missing, or no number."""
    try:
        return math.nan if value is None else float(value)
    except ValueError:
        return math.nan


def columns_by_split(
    config: Labelled, rows: Sequence[Row], indices: Mapping[str, Sequence[int]], without: str
) -> dict[str, dict[str, Column]]:
    """The columns of every split, all labels but `without`.

    The names of a class label are those of the configured vocabulary, or else the ones training
    has; a split with others knows them after those, so that codes agree among the splits.
    """
    columns: dict[str, dict[str, Column]] = {split: {} for split in indices}
    for label in rows[0].labels:
        if label == without:
            continue
        values = {
            split: [rows[index].labels[label] for index in chosen]
            for split, chosen in indices.items()
        }
        fixed = config.vocabulary.get(label)
        known = fixed or Categorical.of(values["train"]).names
        for split, texts in values.items():
            if label in config.numeric:
                numbers = [_number(value) for value in texts]
                columns[split][label] = Numeric(torch.tensor(numbers, dtype=torch.float32))
            else:
                unseen = [name for name in Categorical.of(texts).names if name not in known]
                columns[split][label] = Categorical.of(texts, [*known, *unseen])
    return columns


def describe(
    config: Labelled, rows: Sequence[Row], without: str, what: str = "images"
) -> dict[str, str]:
    """What there is of each label, for people; the samples are called `what`."""
    facts = {}
    for label in rows[0].labels:
        if label == without:
            continue
        values = [row.labels[label] for row in rows]
        present = [value for value in values if value is not None]
        if label in config.numeric and present:
            numbers = [_number(value) for value in present]
            fact = f"{min(numbers):g} to {max(numbers):g}"
        else:
            names = Categorical.of(present).names
            fact = f"{len(names)} {'class' if len(names) == 1 else 'classes'}: {named(names)}"
        missing = len(values) - len(present)
        facts[label] = fact + (f"; missing for {missing} {what}" if missing else "")
    return facts
