"""The ROC of scored comparisons, the area under it, and the equal error rate on it.

A comparison is accepted where its score is at least the threshold, so comparisons with the very
same score are accepted together: between two thresholds the curve is the straight line that chance
would give. A failed comparison has the score -inf, and no finite threshold accepts it.

Shapes: P comparisons, T points of the curve.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import attrs
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@attrs.frozen(eq=False)
class Roc:
    """Shares of impostors (`far`) and of genuine comparisons (`tar`) accepted at each threshold.

    All (T,), from a threshold of infinity, which accepts nobody, down to the lowest score.
    """

    threshold: Floats
    far: Floats
    tar: Floats

    def auc(self) -> float:
        """The area under the curve: how often a genuine score beats an impostor's, ties half."""
        return float(np.trapezoid(self.tar, self.far))

    def equal_error(self) -> "EqualError":
        """Where as many genuine comparisons are refused as impostors accepted, on the line between
        the two points of the curve that enclose it; NaN for a curve without one of the kinds.

        The threshold is the middle of those that decide as the latter of the two points.
        """
        gap = self.far - (1 - self.tar)  # rises from -1 to 1
        after = int(np.searchsorted(gap, 0.0))
        if after >= len(gap):
            return EqualError(math.nan, math.nan)
        part = -gap[after - 1] / (gap[after] - gap[after - 1])
        rate = self.far[after - 1] + part * (self.far[after] - self.far[after - 1])
        highest, *lower = self.threshold[after : after + 2].tolist()
        middle = (highest + lower[0]) / 2 if lower else highest
        # neighbours among the floating-point numbers have none between them
        between = bool(lower) and lower[0] < middle < math.inf
        return EqualError(float(rate), middle if between else highest)


class EqualError(NamedTuple):
    """The equal error rate, and the score from which comparisons are accepted to have it."""

    rate: float
    threshold: float


class SortedScores:
    """Scores (P,) put in order once, of which many curves are drawn: one for each weighting.

    >>> SortedScores(np.array([0.9, 0.8, 0.2]), np.array([True, False, True])).roc().auc()
    0.5
    """

    def __init__(self, score: Floats, same: Bools) -> None:
        self._order = np.argsort(-score, kind="stable")
        ordered = score[self._order]
        self._genuine = same[self._order]
        self._last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
        self._threshold = np.append(np.inf, ordered[self._last])

    def roc(self, weight: Floats | None = None) -> Roc:
        """The curve of all comparisons; with `weight` (P,) each counts so many times."""
        counts = np.ones(len(self._order)) if weight is None else weight[self._order]
        with np.errstate(invalid="ignore"):  # of a kind that is not there every share is NaN
            tar = self._shares(np.where(self._genuine, counts, 0.0))
            far = self._shares(np.where(self._genuine, 0.0, counts))
        return Roc(self._threshold, far, tar)

    def _shares(self, counts: Floats) -> Floats:
        total: Floats = np.cumsum(counts)[self._last]
        return np.append(0.0, total / total[-1] if total[-1] else np.full(len(total), np.nan))


def roc(score: Floats, same: Bools) -> Roc:
    """The curve of comparisons with `score` (P,), of which those in `same` (P,) are genuine."""
    return SortedScores(score, same).roc()


def mean_curve(curves: Sequence[Roc]) -> Roc:
    """The mean TAR of several splits at each FAR: scores of splits are not put together."""
    far = np.unique(np.concatenate([curve.far for curve in curves]))
    tars = []
    for curve in curves:
        # at a FAR that a curve passes more than once, the highest TAR of it
        last = np.append(curve.far[1:] != curve.far[:-1], True)
        tars.append(np.interp(far, curve.far[last], curve.tar[last]))
    return Roc(np.full(len(far), np.nan), far, np.mean(tars, axis=0))
