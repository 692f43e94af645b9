"""Threshold of verification at a stated false match rate, with bootstrap intervals over people.

The threshold is the lowest score at which the measured false match rate (FMR) does not exceed the
target (`operating_point.budget`). A replicate of the bootstrap draws people with replacement, as in
`metrics.intervals`: it yields the rates at the threshold, and the threshold that it would choose.
The product of two draws makes the intervals conservative: up to twice as wide as the spread over
new people if scores depend on the pair more than on the person.

Shapes: P pairs.
"""

import attrs
import numpy as np
import numpy.typing as npt

from mtlkit_face.metrics.intervals import (
    REPLICATES,
    Interval,
    pair_weight,
    percentiles,
    resamples,
)
from mtlkit_face.metrics.operating_point import budget, most_allowed
from mtlkit_face.metrics.roc import Floats, SortedScores

People = npt.NDArray[np.int64]


@attrs.frozen(kw_only=True)
class Calibration:
    """Threshold for a target FMR, the rates measured at it, and 95% intervals over people.

    `fnmr` is the false non-match rate, the fraction of genuine pairs below the threshold.
    """

    threshold: float
    target: float
    fmr: float
    fnmr: float
    threshold_interval: Interval
    fmr_interval: Interval
    fnmr_interval: Interval
    people: int
    replicates: int


def calibrate(
    score: Floats,
    first: People,
    second: People,
    target: float,
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Calibration:
    """Choose the threshold of pairs with `score` (P,) of the persons `first` and `second` (P,).

    Raises `ValueError` if the pairs are of one kind, or if a single impostor pair is a larger part
    of all than `target`.

    >>> people = np.arange(40)
    >>> a, b = np.repeat(people, 40), np.tile(people, 40)
    >>> score = np.where(a == b, 0.9, (a * 40 + b) / 2000)
    >>> calibrate(score, a, b, 0.1).fmr <= 0.1
    True
    """
    same = first == second
    genuine, impostors = int(same.sum()), int((~same).sum())
    if not genuine or not impostors:
        raise ValueError(
            f"got {genuine:,} genuine and {impostors:,} impostor pairs, expected both kinds"
        )
    if not most_allowed(impostors, target):
        raise ValueError(
            f"got {impostors:,} impostor pairs, too few to measure a false match rate of "
            f"{target:g}; add pairs of different people, at least {int(np.ceil(1 / target)):,}, or "
            f"state a higher rate"
        )
    curve = SortedScores(score, same)
    point = budget(curve.roc(), target)
    codes = np.unique(np.concatenate([first, second]), return_inverse=True)[1]
    one, other = codes[: len(first)], codes[len(first) :]
    people = int(codes.max()) + 1
    at = np.searchsorted(-curve.thresholds[1:], -point.threshold) + 1

    def statistics(drawn: Floats) -> list[float]:
        replicate = curve.roc(pair_weight(drawn, one, other))
        chosen = np.nan if np.isnan(replicate.far[-1]) else budget(replicate, target).threshold
        return [float(chosen), float(replicate.far[at]), float(1 - replicate.tar[at])]

    threshold, fmr, fnmr = percentiles(statistics, resamples(people, replicates, seed))
    return Calibration(
        threshold=point.threshold,
        target=target,
        fmr=point.far,
        fnmr=1 - point.tar,
        threshold_interval=threshold,
        fmr_interval=fmr,
        fnmr_interval=fnmr,
        people=people,
        replicates=replicates,
    )
