"""Cross-validated verification accuracy: the threshold of a fold is chosen on the other folds.

Huang et al., Labeled Faces in the Wild (2007), View 2; also CFP (Sengupta et al., WACV 2016).
Two rules choose a threshold. `midpoint`, the strict rule, tries the midpoint between each pair of
adjacent scores; among equally good thresholds it takes the middle one. `grid`, the rule of the
common toolkits, tries squared distances of unit vectors from 0 to 4 in steps of 0.01 and takes the
first best one, which is the strictest.

Shapes: P pairs, F folds.
"""

from collections.abc import Callable

import attrs
import numpy as np
import numpy.typing as npt

from mtlkit_face.metrics.roc import Bools, Floats

ThresholdRule = Callable[[Floats, Bools], float]


@attrs.frozen(eq=False, kw_only=True)
class FoldAccuracy:
    """Accuracy (F,) and threshold (F,) of each fold, and a mask (P,) of the correct decisions."""

    accuracy: Floats
    threshold: Floats
    right: Bools


def fold_accuracy(
    score: Floats, same: Bools, fold: npt.NDArray[np.int64], rule: ThresholdRule
) -> FoldAccuracy:
    """Compute the accuracy of `score` (P,) on each `fold` (P,); folds are numbered from 0, F >= 2.

    A pair is predicted to show the same person if its score is at least the threshold that `rule`
    chooses on the pairs of all other folds.
    """
    folds = int(fold.max()) + 1
    threshold = np.array([rule(score[fold != k], same[fold != k]) for k in range(folds)])
    right = (score >= threshold[fold]) == same
    accuracy = np.array([right[fold == k].mean() for k in range(folds)])
    return FoldAccuracy(accuracy=accuracy, threshold=threshold, right=right)


def midpoint(score: Floats, same: Bools) -> float:
    """Return the most accurate of all thresholds; among equally good ones, the middle one.

    >>> midpoint(np.array([0.9, 0.7, 0.3, 0.1]), np.array([True, True, False, False]))
    0.5
    """
    values = np.unique(score[np.isfinite(score)])
    if not len(values):  # every comparison failed: no threshold accepts any pair
        return 0.0
    between = (values[:-1] + values[1:]) / 2
    # the midpoint of two adjacent floating-point numbers rounds to one of them
    between = np.where(between > values[:-1], between, values[1:])
    candidates = np.concatenate([values[:1], between, [np.nextafter(values[-1], np.inf)]])
    right = _count_correct(candidates, score, same)
    best = np.flatnonzero(right == right.max())
    return float(candidates[best[(len(best) - 1) // 2]])


def grid(score: Floats, same: Bools) -> float:
    """Return the score of the first most accurate squared distance in 0, 0.01, ... 3.99.

    Unit vectors with dot product s have the squared distance 2 - 2s; a pair is accepted if its
    distance is strictly smaller.
    """
    candidates = np.nextafter(1 - np.arange(0, 4, 0.01) / 2, np.inf)
    return float(candidates[int(_count_correct(candidates, score, same).argmax())])


def _count_correct(threshold: Floats, score: Floats, same: Bools) -> npt.NDArray[np.int64]:
    """Count the correct decisions at each threshold."""
    genuine, impostor = np.sort(score[same]), np.sort(score[~same])
    accepted: npt.NDArray[np.int64] = len(genuine) - np.searchsorted(genuine, threshold)
    return accepted + np.searchsorted(impostor, threshold)
