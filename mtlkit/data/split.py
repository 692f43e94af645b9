"""The split of each sample: by its label, or at random by fraction or by whole groups."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from mtlkit.component import between, seed_number
from mtlkit.data.listing.image_listing import Row
from mtlkit.errors import DataError

SPLIT = "split"
"""The label that names the split of a sample."""


@attrs.frozen(kw_only=True)
class RandomSplit:
    """Fractions of the samples for `validation` and `test`; the rest is for training.

    With `groups`, the name of a label such as ``subject``, `test` is a fraction of the values of
    this label, and all samples of these values are in the test split alone; `validation` is a part
    of the samples of each other value. With `stratify`, every value of that label is split in the
    same proportion.
    """

    validation: float = attrs.field(default=0.1, validator=between(0, 1))
    test: float = attrs.field(default=0.2, validator=between(0, 1))
    groups: str | None = None
    stratify: str | None = attrs.field(default=None)
    seed: int = attrs.field(default=0, validator=seed_number())

    @test.validator
    def _leaves_training(self, _: "attrs.Attribute[float]", __: Any) -> None:
        if self.validation + self.test >= 1:
            raise ValueError(
                f"test: expected validation and test to sum to less than 1, "
                f"got {self.validation} + {self.test}"
            )

    @stratify.validator
    def _groups_or_stratify(self, _: "attrs.Attribute[str | None]", __: Any) -> None:
        if self.groups is not None and self.stratify is not None:
            raise ValueError("stratify: expected one of `groups` and `stratify`, got both")


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


def split_samples(
    split: RandomSplit, ids: Sequence[str], labels: Sequence[str | None] | None
) -> dict[str, list[int]]:
    """Return the indices into `ids` of each split, ascending; omit a split of fraction 0.

    `labels` are those of `split.groups` or `split.stratify`. The result depends on the seed and on
    the set of ids, not on their order. Raises `DataError` if a split would be empty, or if a sample
    lacks the label of `split.groups`.

    >>> split_samples(RandomSplit(validation=0, test=0.25), ["a", "b", "c", "d"], None)
    {'train': [0, 1, 3], 'test': [2]}
    """
    order = _shuffled(split.seed, ids, labels)
    if split.groups is None:
        count = _count("test", split.test, len(ids), "samples")
        test, rest = order[:count], order[count:]
    else:
        group_of = dict(zip(ids, labels or (), strict=True))
        held_out = _test_groups(split, split.groups, group_of)
        test = [name for name in order if group_of[name] in held_out]
        rest = [name for name in order if group_of[name] not in held_out]
    count = _count("validation", split.validation, len(ids), "samples")
    parts = {"train": rest[count:], "validation": rest[:count], "test": test}
    if not parts["train"]:
        raise DataError(f"the training split is empty: there are only {len(ids)} samples in all")
    index = {name: i for i, name in enumerate(ids)}
    return {part: sorted(index[name] for name in names) for part, names in parts.items() if names}


def _test_groups(split: RandomSplit, label: str, group_of: dict[str, str | None]) -> frozenset[str]:
    names = []
    for sample, name in group_of.items():
        if name is None:
            raise DataError(f"{sample}: has no {label!r}, by which the data is split into groups")
        names.append(name)
    order = _shuffled(split.seed, sorted(set(names)), None)
    return frozenset(order[: _count("test", split.test, len(order), f"values of {label!r}")])


def _count(part: str, fraction: float, units: int, noun: str) -> int:
    count = round(fraction * units)
    if fraction > 0 and count == 0:
        raise DataError(
            f"the {part} split is empty: {fraction} of {units} {noun} is less than one; use "
            f"`{part}: 0` for none"
        )
    return count


def _shuffled(seed: int, units: Sequence[str], strata: Sequence[str | None] | None) -> list[str]:
    """Return the units in order of a hash; with strata, every slice holds a fraction of each."""

    def digest(unit: str) -> bytes:
        return hashlib.sha256(f"{seed}/{unit}".encode()).digest()

    shuffled = sorted(units, key=digest)
    if strata is None:
        return shuffled
    stratum = dict(zip(units, strata, strict=True))
    sizes = Counter(strata)
    counts: Counter[str | None] = Counter()
    quantile: dict[str, float] = {}
    for unit in shuffled:
        quantile[unit] = (counts[stratum[unit]] + 0.5) / sizes[stratum[unit]]
        counts[stratum[unit]] += 1
    return sorted(shuffled, key=lambda unit: quantile[unit])  # stable: ties stay in hash order
