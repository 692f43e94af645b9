"""ROC curve of scored comparisons, its area, and its equal error rate.

A comparison is accepted if its score is at least the threshold, so comparisons with equal scores
are accepted together; between two thresholds the curve is linear. A failed comparison has the score
-inf, which no finite threshold accepts.

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
    """Fractions of impostor (`far`) and genuine (`tar`) comparisons accepted at each threshold.

    All have shape (T,); thresholds fall from infinity, which accepts nothing, to the lowest score.
    """

    threshold: Floats
    far: Floats
    tar: Floats

    def auc(self) -> float:
        """Return the area under the curve: P(genuine > impostor) + P(genuine = impostor) / 2."""
        return float(np.trapezoid(self.tar, self.far))

    def equal_error(self) -> "EqualError":
        """Return the rate at which FAR = 1 - TAR, interpolated between the two enclosing points.

        The threshold is the midpoint of those that decide as the latter point does. Both are NaN
        for a curve without genuine or without impostor comparisons.
        """
        gap = self.far - (1 - self.tar)  # rises from -1 to 1
        after = int(np.searchsorted(gap, 0.0))
        if after >= len(gap):
            return EqualError(math.nan, math.nan)
        part = -gap[after - 1] / (gap[after] - gap[after - 1])
        rate = self.far[after - 1] + part * (self.far[after] - self.far[after - 1])
        highest, *lower = self.threshold[after : after + 2].tolist()
        middle = (highest + lower[0]) / 2 if lower else highest
        # two adjacent floating-point numbers have none between them
        between = bool(lower) and lower[0] < middle < math.inf
        return EqualError(float(rate), middle if between else highest)


class EqualError(NamedTuple):
    """Equal error rate, and the lowest accepted score at it."""

    rate: float
    threshold: float


class SortedScores:
    """Scores (P,) sorted once, to compute many curves with different weights.

    >>> SortedScores(np.array([0.9, 0.8, 0.2]), np.array([True, False, True])).roc().auc()
    0.5
    """

    def __init__(self, score: Floats, same: Bools) -> None:
        self._order = np.argsort(-score, kind="stable")
        ordered = score[self._order]
        self._genuine = same[self._order]
        self._last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
        self._threshold = np.append(np.inf, ordered[self._last])

    @property
    def thresholds(self) -> Floats:
        """Thresholds (T,) of every curve, from infinity down."""
        return self._threshold

    def roc(self, weight: Floats | None = None) -> Roc:
        """Return the curve of all comparisons, weighted by `weight` (P,) if given."""
        counts = np.ones(len(self._order)) if weight is None else weight[self._order]
        with np.errstate(invalid="ignore"):  # rates are NaN without genuine or without impostors
            tar = self._rates(np.where(self._genuine, counts, 0.0))
            far = self._rates(np.where(self._genuine, 0.0, counts))
        return Roc(self._threshold, far, tar)

    def _rates(self, counts: Floats) -> Floats:
        total: Floats = np.cumsum(counts)[self._last]
        return np.append(0.0, total / total[-1] if total[-1] else np.full(len(total), np.nan))


def roc(score: Floats, same: Bools) -> Roc:
    """Return the curve of comparisons with `score` (P,), genuine if `same` (P,)."""
    return SortedScores(score, same).roc()


def mean_curve(curves: Sequence[Roc]) -> Roc:
    """Return the mean TAR over splits at each FAR; scores of different splits are not pooled."""
    far = np.unique(np.concatenate([curve.far for curve in curves]))
    tars = []
    for curve in curves:
        # the highest TAR at a FAR that the curve has more than once
        last = np.append(curve.far[1:] != curve.far[:-1], True)
        tars.append(np.interp(far, curve.far[last], curve.tar[last]))
    return Roc(np.full(len(far), np.nan), far, np.mean(tars, axis=0))
