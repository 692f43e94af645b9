"""The measures of IJB-A, which are means over splits."""

from collections.abc import Callable, Sequence

import attrs
import numpy as np

from mtlkit_face.metrics.intervals import mean_of_finite, pair_weight, percentiles, resamples
from mtlkit_face.metrics.open_set import tpir_at_fpir
from mtlkit_face.metrics.operating_point import most_allowed
from mtlkit_face.metrics.rank import SearchResult, identification_rate
from mtlkit_face.metrics.roc import Bools, Floats, SortedScores
from mtlkit_face.protocols.pairs.pair_set import Indices
from mtlkit_face.protocols.result import Measure, over_folds
from mtlkit_face.protocols.rules import Rules

BY_PEOPLE = "bootstrap over people, the same in all splits"


@attrs.frozen(eq=False, kw_only=True)
class SplitScores:
    """The scores of one split: comparisons (P,) of subjects `first` and `second`, and a search.

    `probe` are the subjects of the probes; `failed` counts templates without a picture.
    """

    score: Floats
    first: Indices
    second: Indices
    search: SearchResult
    probe: Indices
    failed: int

    @property
    def same(self) -> Bools:
        """True for genuine comparisons (P,)."""
        same: Bools = self.first == self.second
        return same


SplitMeasures = dict[str, tuple[float, dict[str, float]]]
"""The value and the operating point of each measure of a split."""


def split_measures(
    splits: Sequence[SplitScores],
    fars: Sequence[float],
    ranks: Sequence[int],
    fpirs: Sequence[float],
    rules: Rules,
    replicates: int,
) -> dict[str, Measure]:
    """Return TAR at each FAR, the EER, each rank, and TPIR at each FPIR, over the splits.

    A bootstrap replicate draws people once for all splits, since a person is in many of them.
    """
    splits, people = _numbered(splits)
    measured = [_measures_of(split, fars, ranks, fpirs, rules) for split in splits]
    by_split = [measures(None) for measures in measured]
    names = list(by_split[0])

    def statistics(drawn: Floats) -> list[float]:
        replicate = [measures(drawn) for measures in measured]
        return [mean_of_finite([split[name][0] for split in replicate]) for name in names]

    ends = percentiles(statistics, resamples(people, replicates))
    return {
        name: over_folds(
            [split[name][0] for split in by_split],
            interval_ends,
            BY_PEOPLE,
            population=rules.population,
            at={
                f"{point}/{number}": value
                for number, split in enumerate(by_split, start=1)
                for point, value in split[name][1].items()
            },
        )
        for name, interval_ends in zip(names, ends, strict=True)
    }


def _numbered(splits: Sequence[SplitScores]) -> tuple[list[SplitScores], int]:
    """Return the splits with people renumbered from 0, and the number of people.

    Numbers in tables may have gaps, and people in no split are not drawn.
    """
    sides = [side for split in splits for side in (split.first, split.second, split.probe)]
    people, codes = np.unique(np.concatenate(sides), return_inverse=True)
    parts = iter(np.split(codes, np.cumsum([len(side) for side in sides])[:-1]))
    numbered = [
        attrs.evolve(split, first=next(parts), second=next(parts), probe=next(parts))
        for split in splits
    ]
    return numbered, len(people)


def _measures_of(
    split: SplitScores,
    fars: Sequence[float],
    ranks: Sequence[int],
    fpirs: Sequence[float],
    rules: Rules,
) -> Callable[[Floats | None], SplitMeasures]:
    """Return a function from people's weights (None is 1 each) to the measures of a split."""
    ranking = SortedScores(split.score, split.same)
    impostors = int((~split.same).sum())
    non_mated = int((~split.search.mated).sum())

    def measures(drawn: Floats | None) -> SplitMeasures:
        pairs = None if drawn is None else pair_weight(drawn, split.first, split.second)
        probes = None if drawn is None else drawn[split.probe]
        curve = ranking.roc(pairs)
        result: SplitMeasures = {}
        for far in fars:
            operating = rules.operating(curve, far)
            point = {"threshold": operating.threshold, "achieved-far": operating.far}
            point |= {"impostors": impostors, "impostors-allowed": most_allowed(impostors, far)}
            result[f"tar-at-far/{far:g}"] = operating.tar, point
        equal = curve.equal_error()
        result["eer"] = equal.rate, {"threshold": equal.threshold}
        for rank in ranks:
            result[f"rank-{rank}"] = identification_rate(split.search.rank, rank, probes), {}
        for fpir in fpirs:
            open_set = tpir_at_fpir(split.search, fpir, rules.operating, probes)
            point = {"threshold": open_set.threshold, "achieved-fpir": open_set.fpir}
            point |= {"non-mated": non_mated, "non-mated-allowed": most_allowed(non_mated, fpir)}
            result[f"tpir-at-fpir/{fpir:g}"] = open_set.tpir, point
        return result

    return measures
