"""TAR at a target FAR, by one of two rules.

With `budget`, the strict rule, the measured FAR never exceeds the target: at most floor(target N)
of N impostors are accepted, and if that is 0 the threshold is above all of them. With `nearest`,
the rule of the common toolkits, the point of the curve whose FAR is nearest to the target is taken,
even if its FAR is higher.
"""

import math
from collections.abc import Callable

import attrs
import numpy as np

from mtlkit_face.metrics.roc import Roc


@attrs.frozen(kw_only=True)
class OperatingPoint:
    """Point of a ROC curve that was chosen for a target FAR."""

    tar: float
    far: float
    threshold: float


OperatingRule = Callable[[Roc, float], OperatingPoint]

_ROUNDING = 1e-12
_NO_IMPOSTORS = OperatingPoint(tar=float("nan"), far=float("nan"), threshold=float("nan"))


def most_allowed(impostors: int, target: float) -> int:
    """Return how many of N impostors `budget` may accept: floor(target N).

    >>> most_allowed(3_000, 0.001), most_allowed(999, 0.001)
    (3, 0)
    """
    return math.floor(target * impostors * (1 + _ROUNDING))


def budget(curve: Roc, target: float) -> OperatingPoint:
    """Return the point of largest TAR among the thresholds whose FAR is at most `target`.

    >>> from mtlkit_face.metrics.roc import roc
    >>> score, same = np.array([0.9, 0.8, 0.7, 0.1]), np.array([True, False, True, False])
    >>> budget(roc(score, same), 0.4).tar, nearest(roc(score, same), 0.4).tar
    (0.5, 1.0)
    """
    if np.isnan(curve.far[-1]):
        return _NO_IMPOSTORS
    # rates are rounded quotients: 3 / 3,000 may exceed 0.001 by a rounding error
    allowed = (curve.far <= target * (1 + _ROUNDING)) & (curve.threshold > -np.inf)
    return _point(curve, int(np.flatnonzero(allowed)[-1]))


def nearest(curve: Roc, target: float) -> OperatingPoint:
    """Return the corner of the curve whose FAR is nearest to `target`; of several, the last one.

    Only corners are considered, as in scikit-learn's `roc_curve`, which the toolkits use.
    """
    if np.isnan(curve.far[-1]):
        return _NO_IMPOSTORS
    kept = np.flatnonzero(_corners(curve) & (curve.threshold > -np.inf))
    distance = np.abs(curve.far[kept] - target)
    best = np.flatnonzero(distance == distance.min())
    return _point(curve, int(kept[best[-1]]))


def _corners(curve: Roc) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Return a mask (T,) of the points that do not lie midway between their two neighbors.

    The first two points and the last one are always kept.
    """
    far, tar = curve.far[1:], curve.tar[1:]
    if len(far) < 3:
        return np.ones(len(curve.far), bool)
    turns = (np.abs(np.diff(far, 2)) > _ROUNDING) | (np.abs(np.diff(tar, 2)) > _ROUNDING)
    return np.concatenate([[True, True], turns, [True]])


def _point(curve: Roc, index: int) -> OperatingPoint:
    return OperatingPoint(
        tar=float(curve.tar[index]),
        far=float(curve.far[index]),
        threshold=float(curve.threshold[index]),
    )
