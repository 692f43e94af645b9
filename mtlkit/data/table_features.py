"""Columns of a table as inputs: standardized numbers and one-hot words, fitted to training rows."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import attrs
import cattrs
import torch
from torch import Tensor

from mtlkit.data.columns import Categorical
from mtlkit.data.label_columns import LARGEST, parse_numbers
from mtlkit.data.listing.image_listing import Row
from mtlkit.errors import DataError, did_you_mean, shortened

_CONSTANT = 1e-12
"""A column is constant if its std is less than this fraction of its size."""


_LISTED = "as of a column in `numeric`; correct it, or empty it and set `fill: true`"


@attrs.frozen(kw_only=True)
class FeatureColumn:
    """A column of inputs: numbers with the `mean` and `std` of training, or `words`, one-hot."""

    name: str
    mean: float = 0.0
    std: float = 1.0
    words: tuple[str, ...] | None = None


@attrs.frozen(kw_only=True)
class FeatureColumns:
    """Columns of inputs in order, and all columns of the training table.

    >>> features = FeatureColumns(
    ...     columns=(FeatureColumn(name="x", mean=1.0, std=2.0),), known=("x", "label")
    ... )
    >>> features.encode([Row("a", {"x": "5"}, "a")], fill=False).tolist()
    [[2.0]]
    """

    columns: tuple[FeatureColumn, ...]
    known: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the values to save with a run."""
        values: dict[str, Any] = cattrs.unstructure(self)
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "FeatureColumns":
        """Return what `to_json` returned."""
        return cattrs.structure(values, cls)

    def encode(self, rows: Sequence[Row], *, fill: bool, new: bool = False) -> Tensor:
        """Return the inputs (N, K) of `rows`, which are `new` ones or those of training.

        A column of numbers is one of K.

        An empty cell and an unknown word become zeros, which is the training mean of a number, if
        `fill` is true. Otherwise an empty cell is a `DataError`; see `check_new` for words.
        """
        cells = {c.name: [row.labels[c.name] for row in rows] for c in self.columns}
        parsed = {
            c.name: _parsed(rows, c.name, cells[c.name], "as in training")
            for c in self.columns
            if c.words is None
        }
        _refuse_infinite(rows, parsed)
        for column in self.columns:
            if not fill:
                _refuse_missing(rows, column.name, parsed.get(column.name), new=new)
        numeric = [c for c in self.columns if c.words is None]
        numbers = torch.tensor([parsed[c.name] for c in numeric], dtype=torch.float64)
        mean = torch.tensor([[c.mean] for c in numeric], dtype=torch.float64).reshape(-1, 1)
        std = torch.tensor([[c.std] for c in numeric], dtype=torch.float64).reshape(-1, 1)
        standardized = (numbers.reshape(len(numeric), len(rows)) - mean) / std
        _refuse_distant(rows, numeric, standardized)
        inputs = standardized.nan_to_num(nan=0.0).float().T
        if len(numeric) == len(self.columns):
            return inputs.contiguous()
        standard = iter(inputs.unbind(1))
        return torch.cat(
            [
                next(standard).unsqueeze(1) if c.words is None else _one_hot(c.words, cells[c.name])
                for c in self.columns
            ],
            dim=1,
        )

    def check_new(self, rows: Sequence[Row], *, fill: bool) -> None:
        """Raise `DataError` if new `rows` lack a column, or have a column or a word unseen before.

        Unknown words are accepted if `fill` is true.
        """
        given = rows[0].labels
        for column in self.columns:
            if column.name not in given:
                near = did_you_mean(column.name, given)
                raise DataError(
                    f"{rows[0].place}: no column {column.name!r}{near}; "
                    f"expected the columns: {shortened([c.name for c in self.columns])}"
                )
        for name in given:
            if name not in self.known:
                raise DataError(
                    f"{rows[0].place}: the column {name!r} is not in the training table"
                    f"{did_you_mean(name, self.known)}; remove or rename it"
                )
        if fill:
            return
        for column in self.columns:
            words = None if column.words is None else frozenset(column.words)
            for row in rows if words is not None else ():
                word = row.labels[column.name]
                if word is not None and words is not None and word not in words:
                    raise DataError(
                        f"{row.place}: the column {column.name!r} is {word!r}, which no training "
                        f"row has; expected one of {shortened(column.words or ())}, or train with "
                        f"`fill: true`"
                    )


def fit_features(
    rows: Sequence[Row],
    names: Sequence[str],
    train: Sequence[int],
    known: Iterable[str],
    numeric: Collection[str] = (),
) -> FeatureColumns:
    """Return the columns `names` fitted to the rows `train`: mean 0 and std 1, and words.

    A column of numbers has numbers in all `rows`. Raises `DataError` for a column without a value,
    and for another cell in a column that is `numeric` by request.
    """
    parsed = {}
    for name in names:
        cells = [row.labels[name] for row in rows]
        parsed[name] = _parsed(rows, name, cells, _LISTED) if name in numeric else _numbers(cells)
    numbers_of = {name: numbers for name, numbers in parsed.items() if numbers is not None}
    _refuse_infinite(rows, numbers_of)
    statistics = iter(_statistics(numbers_of, train))
    columns = []
    for name, numbers in parsed.items():
        if numbers is not None:
            mean, std = next(statistics)
            columns.append(FeatureColumn(name=name, mean=mean, std=std))
            continue
        words = Categorical.of([rows[row].labels[name] for row in train]).names
        if not words:
            raise _empty(name)
        columns.append(FeatureColumn(name=name, words=words))
    return FeatureColumns(columns=tuple(columns), known=tuple(known))


def almost_numeric(rows: Sequence[Row], columns: Iterable[FeatureColumn]) -> list[str]:
    """Return a note for each column of words of which most cells are numbers.

    A single cell such as ``1_000`` or ``N/A`` makes a column of numbers one of words.
    """
    notes = []
    for column in columns:
        if column.words is None:
            continue
        cells = [(row, cell) for row in rows if (cell := row.labels[column.name]) is not None]
        others = [(row, cell) for row, cell in cells if _numbers([cell]) is None]
        if 2 * len(others) < len(cells):
            row, cell = others[0]
            notes.append(
                f"{row.place}: the column {column.name!r} is {cell!r}. Cells that are not numbers: "
                f"{len(others)} of {len(cells)}. The column is therefore one-hot, with an input "
                f"for each of {len(column.words)} words. For numbers, list it in `data.numeric` "
                f"and correct the cells, or empty them and set `fill: true`"
            )
    return notes


def _statistics(
    columns: Mapping[str, Sequence[float]], train: Sequence[int]
) -> list[tuple[float, float]]:
    """Return mean and std of the training rows of each column; std 1 if it does not vary."""
    if not columns:
        return []
    numbers = torch.tensor(list(columns.values()), dtype=torch.float64)[:, torch.tensor(train)]
    present = ~numbers.isnan()
    if not present.any(dim=1).all():
        raise _empty(list(columns)[int((~present.any(dim=1)).nonzero()[0])])
    count = present.sum(dim=1, keepdim=True)
    mean = numbers.nansum(dim=1, keepdim=True) / count
    std = ((numbers - mean).square().nansum(dim=1, keepdim=True) / count).sqrt()
    largest = numbers.nan_to_num(nan=0.0).abs().amax(dim=1, keepdim=True)
    # a column that does not vary becomes 0
    std = torch.where(std <= _CONSTANT * largest, 1.0, std)
    return list(zip(mean.flatten().tolist(), std.flatten().tolist(), strict=True))


def _empty(name: str) -> DataError:
    return DataError(f"data.features: the column {name!r} is empty in every training row")


def _refuse_infinite(rows: Sequence[Row], columns: Mapping[str, Sequence[float]]) -> None:
    for name, numbers in columns.items():
        if min(numbers) >= -LARGEST and max(numbers) <= LARGEST:  # false if the first is NaN
            continue
        for row, number in zip(rows, numbers, strict=True):
            if abs(number) > LARGEST:
                expected = "a finite number" if math.isinf(number) else f"at most {LARGEST:g}"
                raise DataError(
                    f"{row.place}: the column {name!r} is {row.labels[name]!r}, expected "
                    f"{expected}; correct or remove the row"
                )


def _refuse_distant(
    rows: Sequence[Row], columns: Sequence[FeatureColumn], standardized: Tensor
) -> None:
    """Raise `DataError` for a number of `standardized` (K, N) that float32 cannot hold."""
    distant = standardized.float().isinf().nonzero().tolist()
    if distant:
        name, row = columns[distant[0][0]].name, rows[distant[0][1]]
        raise DataError(
            f"{row.place}: the column {name!r} is {row.labels[name]!r}, too far from the numbers "
            f"of training; correct or remove the row"
        )


def _refuse_missing(
    rows: Sequence[Row], name: str, numbers: Sequence[float] | None, *, new: bool
) -> None:
    """Raise `DataError` if the column has an empty cell or a NaN."""
    if numbers is None:
        missing = [row for row in rows if row.labels[name] is None]
    else:
        complete = not math.isnan(sum(numbers))
        pairs = () if complete else zip(rows, numbers, strict=True)
        missing = [row for row, x in pairs if math.isnan(x)]
    if missing:
        text = missing[0].labels[name]
        cell = "empty" if text is None else repr(text)
        others = f", as in {len(missing) - 1} other rows" if len(missing) > 1 else ""
        remedy = "or train with" if new else "remove it from `features`, or set"
        raise DataError(
            f"{missing[0].place}: the column {name!r} is {cell}{others}; complete it, {remedy} "
            f"`fill: true`"
        )


def _numbers(cells: Sequence[str | None]) -> list[float] | None:
    """Return the cells as numbers (N,), NaN if empty or `nan`; None if one is not a number."""
    given = cells if None not in cells else ["nan" if cell is None else cell for cell in cells]
    try:
        return parse_numbers(given)  # type: ignore[arg-type]
    except ValueError:
        return None


def _parsed(rows: Sequence[Row], name: str, cells: Sequence[str | None], why: str) -> list[float]:
    """Return the cells as numbers; `DataError` with the place of another cell, and `why`."""
    numbers = _numbers(cells)
    if numbers is not None:
        return numbers
    row = next(row for row, cell in zip(rows, cells, strict=True) if _numbers([cell]) is None)
    raise DataError(
        f"{row.place}: the column {name!r} is {row.labels[name]!r}, expected a number {why}"
    )


def _one_hot(words: Sequence[str], cells: Sequence[str | None]) -> Tensor:
    """Return the indicators (N, K) of `words`; zeros for other cells."""
    column = {word: index for index, word in enumerate(words)}
    indicators = torch.zeros(len(cells), len(words))
    for row, cell in enumerate(cells):
        if cell is not None and cell in column:
            indicators[row, column[cell]] = 1.0
    return indicators
