"""The split that each row of a listing belongs to."""

from collections.abc import Mapping, Sequence

from mtlkit.data.listing.image_listing import Row
from mtlkit.data.split import RandomSplit, split_samples
from mtlkit.errors import DataError

SPLIT = "split"
"""The label that names the split of a sample."""


def split_indices(split: RandomSplit | None, rows: Sequence[Row]) -> Mapping[str, Sequence[int]]:
    """Return the indices into `rows` of each split, by their label `split` or else at random.

    Raises `DataError` if both are given, a label names no split, or a split would be empty.
    """
    if any(SPLIT in row.labels for row in rows):
        if split is not None:
            raise DataError(
                f"data.split: the label {SPLIT!r} names the split of each file already; remove one "
                f"of the two"
            )
        return _by_label(rows)
    split = split or RandomSplit()
    label = split.groups or split.stratify
    labels = None if label is None else [row.labels[label] for row in rows]
    return split_samples(split, [row.file for row in rows], labels)


def _by_label(rows: Sequence[Row]) -> Mapping[str, Sequence[int]]:
    indices: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    for index, row in enumerate(rows):
        name = row.labels[SPLIT]
        name = "validation" if name == "val" else name
        if name not in indices:
            raise DataError(
                f"{row.place}: {SPLIT}: expected train, validation or test, got {name!r}"
            )
        indices[name].append(index)
    if not indices["train"]:
        raise DataError(f"the training split is empty; set {SPLIT} to 'train' for some files")
    return {name: chosen for name, chosen in indices.items() if chosen}
