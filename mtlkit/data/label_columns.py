"""Columns of labels from their text: classes by vocabulary, numbers, and missing labels."""

import math
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
import torch

from mtlkit.data.columns import Categorical, Column, Numeric, natural_order
from mtlkit.data.dataset import Data, Split
from mtlkit.data.listing.image_listing import Row
from mtlkit.data.source import DataSource
from mtlkit.data.split import SPLIT, RandomSplit
from mtlkit.errors import SHOWN, DataError, shortened

LARGEST = 1e140
"""Largest size of a number in a table; float64 cannot hold the variance of larger ones."""


@attrs.frozen(kw_only=True)
class LabelOptions(DataSource):
    """Base of the sources with labels in text; they state these options in their order."""

    numeric: tuple[str, ...] = ()  # labels that are numbers
    units: Mapping[str, str] = attrs.field(factory=dict)  # of numbers and vectors, by label
    vocabulary: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)  # fixed classes, by label
    vectors: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)  # columns, by label
    multi_label: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)  # columns, by label
    split: RandomSplit | None = None  # if no label names the split of a sample
    open_labels: tuple[str, ...] = ()  # with test values that training lacks

    def data(self, splits: Mapping[str, Split], summary: Mapping[str, str], **facts: Any) -> Data:
        """Return the data of `splits` by name; `facts` are other fields of `Data`."""
        divided = self.split.groups if self.split else None
        return Data(
            train=splits["train"],
            open_labels=frozenset([*self.open_labels, *([divided] if divided else [])]),
            summary=summary,
            **facts,
        ).with_splits(splits)


def check_names(label: str, names: Sequence[str]) -> None:
    """Raise `ValueError` if a vocabulary is empty or has a name twice.

    >>> check_names("color", ["red", "green", "red"])
    Traceback (most recent call last):
    ValueError: vocabulary: color: expected different names, got 'red' twice; remove one
    """
    if not names:
        raise ValueError(f"vocabulary: {label}: expected different names, got none")
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise ValueError(
            f"vocabulary: {label}: expected different names, got {repeated[0]!r} twice; remove one"
        )


def units_of_numbers(source: Any, _: "attrs.Attribute[Any]", value: Mapping[str, str]) -> None:
    """Accept units of labels that are numbers or vectors."""
    numbers = [*source.numeric, *source.vectors]
    for label in value:
        if label not in numbers:
            raise ValueError(
                f"units: {label!r} is not a number; list it under `numeric` or `vectors`"
            )


def check_labels(config: LabelOptions, rows: Sequence[Row]) -> None:
    """Raise `DataError` for options that name no label, and labels that the options forbid."""
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
                    f"data.{option}: got {name!r}, expected one of the labels: {shortened(known)}"
                )
    vocabulary = {label: frozenset(names) for label, names in config.vocabulary.items()}
    problems = [
        f"  {row.place}: {name}: {problem}" + ("" if row.place == row.file else f" ({row.file})")
        for row in rows
        for name, value in row.labels.items()
        if value is not None and (problem := _problem(config, vocabulary, name, value))
    ]
    if problems:
        more = [f"  and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
        count = "1 label" if len(problems) == 1 else f"{len(problems)} labels"
        raise DataError(f"{count} cannot be used:", *problems[:SHOWN], *more)


def _problem(
    config: LabelOptions, vocabulary: Mapping[str, frozenset[str]], name: str, value: str
) -> str | None:
    if name in config.numeric:
        number = _number(value)
        if not math.isfinite(number):
            return f"expected a number, got {value!r}"
        if abs(number) > LARGEST:
            return f"expected at most {LARGEST:g}, got {value!r}"
    if name in vocabulary and value not in vocabulary[name]:
        shown = shortened(config.vocabulary[name])
        return f"got {value!r}, which is outside the vocabulary: {shown}"
    return None


def parse_number(text: str) -> float:
    """Return the number in `text`; `ValueError` for other forms than those of CSV.

    Python also reads ``1_000`` and digits of other scripts, which other programs read as words.

    >>> parse_number("-1.5e3")
    -1500.0
    >>> parse_number("1_000")
    Traceback (most recent call last):
    ValueError: got '1_000', expected a number
    """
    if "_" in text or not text.isascii():
        raise ValueError(f"got {text!r}, expected a number")
    return float(text)


def parse_numbers(texts: Sequence[str]) -> list[float]:
    """Return the number in each text, as `parse_number` does.

    >>> parse_numbers(["1", "-2.5"])
    [1.0, -2.5]
    """
    whole = "".join(texts)
    if "_" in whole or not whole.isascii():
        return [parse_number(text) for text in texts]
    return list(map(float, texts))


def _number(value: str | None) -> float:
    """Return the number; NaN for a missing or invalid one."""
    try:
        return math.nan if value is None else parse_number(value)
    except ValueError:
        return math.nan


def columns_by_split(
    config: LabelOptions, rows: Sequence[Row], indices: Mapping[str, Sequence[int]]
) -> dict[str, dict[str, Column]]:
    """Return the columns of every split, for all labels but `SPLIT`.

    The names of a class label are those of the vocabulary, otherwise those of the training split.
    Other names of a split are appended, so that codes agree between splits.
    """
    columns: dict[str, dict[str, Column]] = {split: {} for split in indices}
    for label in rows[0].labels:
        if label == SPLIT:
            continue
        values = {
            split: [rows[index].labels[label] for index in chosen]
            for split, chosen in indices.items()
        }
        fixed = config.vocabulary.get(label)
        known: dict[str, None] = {}
        if label not in config.numeric:
            known = dict.fromkeys(fixed or natural_order(set(values["train"])))
            _refuse_two_forms(label, {text for texts in values.values() for text in texts})
        for split, texts in values.items():
            if label in config.numeric:
                numbers = [_number(value) for value in texts]
                unit = config.units.get(label, "")
                columns[split][label] = Numeric(torch.tensor(numbers, dtype=torch.float64), unit)
            else:
                unseen = natural_order({text for text in texts if text not in known})
                columns[split][label] = Categorical.of(texts, [*known, *unseen])
    return columns


def _refuse_two_forms(label: str, texts: Iterable[str | None]) -> None:
    """Raise `DataError` if two classes are one text in two normal forms of Unicode."""
    forms: dict[str, str] = {}
    for text in texts:
        if text is None or text.isascii():
            continue
        other = forms.setdefault(unicodedata.normalize("NFC", text), text)
        if other != text:
            raise DataError(
                f"the label {label!r} has the class {text!r} in two forms of Unicode, "
                f"{min(text, other)!a} and {max(text, other)!a}; use one of them"
            )


def describe(config: LabelOptions, rows: Sequence[Row], what: str) -> dict[str, str]:
    """Return a summary of each label to display; `what` is the noun for samples."""
    facts = {}
    for label in rows[0].labels:
        if label == SPLIT:
            continue
        values = [row.labels[label] for row in rows]
        present = [value for value in values if value is not None]
        if label in config.numeric and present:
            numbers = [_number(value) for value in present]
            fact = f"{min(numbers):g} to {max(numbers):g}"
        else:
            names = set(present)
            shown = shortened(natural_order(names, most=SHOWN), count=len(names))
            fact = f"{len(names)} {'class' if len(names) == 1 else 'classes'}: {shown}"
        missing = len(values) - len(present)
        facts[label] = fact + (f"; missing for {missing} {what}" if missing else "")
    return facts
