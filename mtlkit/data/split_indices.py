"""Which rows of a listing belong to which split."""

from collections.abc import Mapping, Sequence

from mtlkit.data.image_listing import Row
from mtlkit.data.split import Division, divide
from mtlkit.errors import DataError

SPLIT = "split"
"""The label that says which split a sample belongs to."""


def positions_of(split: Division | None, rows: Sequence[Row]) -> Mapping[str, Sequence[int]]:
    """The positions in `rows` of each split, as their label `split` says or the division does.

    Raises `DataError` where both say it, a label names no split, or a split would be empty.
    """
    if any(SPLIT in row.labels for row in rows):
        if split is not None:
            raise DataError(
                f"data.split: the labels say themselves, under {SPLIT!r}, which split each file "
                f"belongs to; leave out one of the two"
            )
        return _given(rows)
    division = split or Division()
    label = division.by or division.stratify
    labels = None if label is None else [row.labels[label] for row in rows]
    return divide(division, [row.file for row in rows], labels)


def _given(rows: Sequence[Row]) -> Mapping[str, Sequence[int]]:
    chosen: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    for place, row in enumerate(rows):
        name = row.labels[SPLIT]
        if name not in chosen:
            raise DataError(
                f"{row.place}: {SPLIT}: expected train, validation or test, found {name!r}"
            )
        chosen[name].append(place)
    if not chosen["train"]:
        raise DataError(f"no file belongs to the training split; give some {SPLIT} 'train'")
    return {name: places for name, places in chosen.items() if places}
