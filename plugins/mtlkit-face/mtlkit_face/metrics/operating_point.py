"""How many genuine comparisons are accepted where few impostors may be: TAR at a FAR.

Two rules. By `budget`, the strict one, the measured FAR never exceeds the target: of N impostors
at most floor(target N) are accepted, and where that is none the threshold lies above them all. By
`nearest`, that of the common kits, the point of the curve whose FAR is nearest to the target is
taken, even where it exceeds it.
"""

import math
from collections.abc import Callable

import attrs
import numpy as np

from mtlkit_face.metrics.roc import Roc


@attrs.frozen(kw_only=True)
class Operating:
    """A point of the ROC that was chosen for a target FAR: what is accepted there, and the FAR."""

    tar: float
    far: float
    threshold: float


OperatingRule = Callable[[Roc, float], Operating]

_ROUNDING = 1e-12
_NOWHERE = Operating(tar=float("nan"), far=float("nan"), threshold=float("nan"))  # no impostors


def most_allowed(impostors: int, target: float) -> int:
    """How many of N impostors `budget` may accept: floor(target N).

    >>> most_allowed(3_000, 0.001), most_allowed(999, 0.001)
    (3, 0)
    """
    return math.floor(target * impostors * (1 + _ROUNDING))


def budget(curve: Roc, target: float) -> Operating:
    """The largest TAR over the thresholds whose FAR is at most `target`.

    >>> from mtlkit_face.metrics.roc import roc
    >>> score, same = np.array([0.9, 0.8, 0.7, 0.1]), np.array([True, False, True, False])
    >>> budget(roc(score, same), 0.4).tar, nearest(roc(score, same), 0.4).tar
    (0.5, 1.0)
    """
    if np.isnan(curve.far[-1]):
        return _NOWHERE
    # shares are quotients, so 3 of 3,000 may miss 0.001 by a rounding
    allowed = (curve.far <= target * (1 + _ROUNDING)) & (curve.threshold > -np.inf)
    return _at(curve, int(np.flatnonzero(allowed)[-1]))


def nearest(curve: Roc, target: float) -> Operating:
    """The corner of the curve whose FAR is nearest to `target`; of several, that of larger TAR.

    Corners alone are looked at, as by scikit-learn's `roc_curve`, on which the kits build.
    """
    if np.isnan(curve.far[-1]):
        return _NOWHERE
    kept = np.flatnonzero(_corners(curve) & (curve.threshold > -np.inf))
    distance = np.abs(curve.far[kept] - target)
    best = np.flatnonzero(distance == distance.min())
    return _at(curve, int(kept[best[-1]]))


def _corners(curve: Roc) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Which points (T,) are no part of a straight line between their neighbours in steps of one.

    The first two and the last are kept always: the line is looked for from the first accepted on.
    """
    far, tar = curve.far[1:], curve.tar[1:]
    if len(far) < 3:
        return np.ones(len(curve.far), bool)
    turns = (np.abs(np.diff(far, 2)) > _ROUNDING) | (np.abs(np.diff(tar, 2)) > _ROUNDING)
    return np.concatenate([[True, True], turns, [True]])


def _at(curve: Roc, place: int) -> Operating:
    return Operating(
        tar=float(curve.tar[place]),
        far=float(curve.far[place]),
        threshold=float(curve.threshold[place]),
    )
