"""The division of samples into splits, by ratio or by groups that stay whole."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import attrs

from mtlkit.component import at_least, between
from mtlkit.errors import DataError


@attrs.frozen(kw_only=True)
class Division:
    """How samples are divided: fractions for `validation` and `test`, and training is the rest.

    With `by`, `test` is a fraction of the values of this label, such as subjects, and all samples
    of these are strangers to the other two; `validation` is a part of each other subject's samples.
    With `stratify`, every value of that label is divided in the same proportion.
    """

    validation: float = attrs.field(default=0.1, validator=between(0, 1))
    test: float = attrs.field(default=0.2, validator=between(0, 1))
    by: str | None = None
    stratify: str | None = attrs.field(default=None)
    seed: int = attrs.field(default=0, validator=at_least(0))

    @test.validator
    def _leaves_training(self, _: "attrs.Attribute[float]", __: Any) -> None:
        if self.validation + self.test >= 1:
            raise ValueError(
                f"test: expected validation and test to leave something for training, "
                f"found {self.validation} + {self.test}"
            )

    @stratify.validator
    def _by_or_stratify(self, _: "attrs.Attribute[str | None]", __: Any) -> None:
        if self.by is not None and self.stratify is not None:
            raise ValueError("stratify: expected one of `by` and `stratify`, found both")


def divide(
    division: Division, ids: Sequence[str], labels: Sequence[str | None] | None
) -> dict[str, list[int]]:
    """The positions in `ids` of each split, ascending; a split of fraction 0 is left out.

    `labels` are those of `division.by` or `division.stratify`. The answer depends on the seed and
    on the set of ids, not on their order. Raises `DataError` where a split would be empty, or
    where a sample lacks the label that divides.

    >>> divide(Division(validation=0, test=0.25), ["a", "b", "c", "d"], None)
    {'train': [0, 1, 3], 'test': [2]}
    """
    order = _spread(division.seed, ids, labels)
    if division.by is None:
        count = _count("test", division.test, len(ids), "samples")
        test, rest = order[:count], order[count:]
    else:
        group = dict(zip(ids, labels or (), strict=True))
        strangers = _test_groups(division, division.by, group)
        test = [name for name in order if group[name] in strangers]
        rest = [name for name in order if group[name] not in strangers]
    count = _count("validation", division.validation, len(ids), "samples")
    parts = {"train": rest[count:], "validation": rest[:count], "test": test}
    if not parts["train"]:
        raise DataError(f"the training split is empty: there are only {len(ids)} samples in all")
    place = {name: position for position, name in enumerate(ids)}
    return {split: sorted(place[name] for name in names) for split, names in parts.items() if names}


def _test_groups(division: Division, by: str, group: dict[str, str | None]) -> frozenset[str]:
    names = []
    for sample, name in group.items():
        if name is None:
            raise DataError(f"{sample}: has no {by!r}, by which the data is divided")
        names.append(name)
    order = _spread(division.seed, sorted(set(names)), None)
    return frozenset(order[: _count("test", division.test, len(order), f"values of {by!r}")])


def _count(split: str, fraction: float, units: int, what: str) -> int:
    count = round(fraction * units)
    if fraction > 0 and count == 0:
        raise DataError(
            f"the {split} split is empty: {fraction} of {units} {what} is less than one; use "
            f"`{split}: 0` for none"
        )
    return count


def _spread(seed: int, units: Sequence[str], strata: Sequence[str | None] | None) -> list[str]:
    """The units in an order by hash; with strata, every stretch holds its share of each."""

    def drawn(unit: str) -> bytes:
        return hashlib.sha256(f"{seed}/{unit}".encode()).digest()

    shuffled = sorted(units, key=drawn)
    if strata is None:
        return shuffled
    stratum = dict(zip(units, strata, strict=True))
    sizes = Counter(strata)
    seen: Counter[str | None] = Counter()
    quantile: dict[str, float] = {}
    for unit in shuffled:
        quantile[unit] = (seen[stratum[unit]] + 0.5) / sizes[stratum[unit]]
        seen[stratum[unit]] += 1
    return sorted(shuffled, key=lambda unit: quantile[unit])  # stable: ties stay by hash
