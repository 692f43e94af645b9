"""The measures of IJB-A, each the mean over splits that are judged apart."""

from collections.abc import Callable, Sequence

import attrs
import numpy as np

from mtlkit_face.metrics.intervals import mean_of_finite, pair_weight, percentiles, resamples
from mtlkit_face.metrics.open_set import tpir_at_fpir
from mtlkit_face.metrics.operating_point import most_allowed
from mtlkit_face.metrics.rank import SearchResult, identification_rate
from mtlkit_face.metrics.roc import Bools, Floats, SortedScores
from mtlkit_face.protocols.pairs.pair_set import Places
from mtlkit_face.protocols.result import Measure, over_folds
from mtlkit_face.protocols.rules import Rules

BY_PEOPLE = "bootstrap over people, the same in all splits"


@attrs.frozen(eq=False, kw_only=True)
class SplitScores:
    """The scores of one split: of comparisons (P,) of subjects `first` and `second`, and a search.

    `probe` are the subjects of the probes, `failed` counts templates without any picture.
    """

    score: Floats
    first: Places
    second: Places
    search: SearchResult
    probe: Places
    failed: int

    @property
    def same(self) -> Bools:
        """Which comparisons (P,) are genuine."""
        same: Bools = self.first == self.second
        return same


Taken = dict[str, tuple[float, dict[str, float]]]
"""Each measure of a split: its value, and where it was taken."""


def split_measures(
    splits: Sequence[SplitScores],
    fars: Sequence[float],
    ranks: Sequence[int],
    fpirs: Sequence[float],
    rules: Rules,
) -> dict[str, Measure]:
    """TAR at each FAR, the EER, each rank, and TPIR at each FPIR, of the splits.

    People are drawn once for all splits of a replicate: a person is in many of them.
    """
    splits, people = _numbered(splits)
    judges = [_judge(split, fars, ranks, fpirs, rules) for split in splits]
    taken = [judge(None) for judge in judges]
    names = list(taken[0])

    def statistics(drawn: Floats) -> list[float]:
        found = [judge(drawn) for judge in judges]
        return [mean_of_finite([each[name][0] for each in found]) for name in names]

    ends = percentiles(statistics, resamples(people))
    return {
        name: over_folds(
            [each[name][0] for each in taken],
            interval_ends,
            BY_PEOPLE,
            population=rules.population,
            at={
                f"{where}/{number}": value
                for number, each in enumerate(taken, start=1)
                for where, value in each[name][1].items()
            },
        )
        for name, interval_ends in zip(names, ends, strict=True)
    }


def _numbered(splits: Sequence[SplitScores]) -> tuple[list[SplitScores], int]:
    """The splits with their people numbered from 0, and how many these are.

    A table may give them any numbers: who is in no split is not drawn.
    """
    sides = [side for split in splits for side in (split.first, split.second, split.probe)]
    people, places = np.unique(np.concatenate(sides), return_inverse=True)
    parts = iter(np.split(places, np.cumsum([len(side) for side in sides])[:-1]))
    numbered = [
        attrs.evolve(split, first=next(parts), second=next(parts), probe=next(parts))
        for split in splits
    ]
    return numbered, len(people)


def _judge(
    split: SplitScores,
    fars: Sequence[float],
    ranks: Sequence[int],
    fpirs: Sequence[float],
    rules: Rules,
) -> Callable[[Floats | None], Taken]:
    """What measures one split, given how often each person was drawn; None is each once."""
    ranking = SortedScores(split.score, split.same)
    impostors = int((~split.same).sum())
    strangers = int((~split.search.mated).sum())

    def measures(drawn: Floats | None) -> Taken:
        pairs = None if drawn is None else pair_weight(drawn, split.first, split.second)
        probes = None if drawn is None else drawn[split.probe]
        curve = ranking.roc(pairs)
        found: Taken = {}
        for far in fars:
            at = rules.operating(curve, far)
            where = {"threshold": at.threshold, "achieved-far": at.far}
            where |= {"impostors": impostors, "impostors-allowed": most_allowed(impostors, far)}
            found[f"tar-at-far/{far:g}"] = at.tar, where
        equal = curve.equal_error()
        found["eer"] = equal.rate, {"threshold": equal.threshold}
        for rank in ranks:
            found[f"rank-{rank}"] = identification_rate(split.search.rank, rank, probes), {}
        for fpir in fpirs:
            alarm = tpir_at_fpir(split.search, fpir, rules.operating, probes)
            where = {"threshold": alarm.threshold, "achieved-fpir": alarm.fpir}
            where |= {"strangers": strangers, "strangers-allowed": most_allowed(strangers, fpir)}
            found[f"tpir-at-fpir/{fpir:g}"] = alarm.tpir, where
        return found

    return measures
