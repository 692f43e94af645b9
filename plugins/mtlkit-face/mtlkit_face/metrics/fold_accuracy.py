"""Verification accuracy by folds: each fold is judged at a threshold that the others chose.

Huang et al., Labeled Faces in the Wild (2007), View 2; CFP (Sengupta et al., WACV 2016) likewise.
Two rules choose a threshold. `midpoint`, the strict one, looks at every threshold that changes a
decision, each in the middle between two scores; of several that are equally good it takes the
middle one. `grid`, that of the common kits, tries squared distances of unit vectors from 0 to 4 in
steps of 0.01 and takes the first that is best, the most severe.

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
    """The share of right decisions in each fold (F,), its threshold (F,), which are right (P,)."""

    accuracy: Floats
    threshold: Floats
    right: Bools


def fold_accuracy(
    score: Floats, same: Bools, fold: npt.NDArray[np.int64], rule: ThresholdRule
) -> FoldAccuracy:
    """The accuracy of `score` (P,) on each `fold` (P,), numbered from 0, of two or more.

    A pair is called the same person where its score is at least the threshold, which `rule`
    chooses from the pairs of all other folds.
    """
    folds = int(fold.max()) + 1
    threshold = np.array([rule(score[fold != k], same[fold != k]) for k in range(folds)])
    right = (score >= threshold[fold]) == same
    accuracy = np.array([right[fold == k].mean() for k in range(folds)])
    return FoldAccuracy(accuracy=accuracy, threshold=threshold, right=right)


def midpoint(score: Floats, same: Bools) -> float:
    """The threshold of the highest accuracy, of all there are; of equally good ones the middle.

    >>> midpoint(np.array([0.9, 0.7, 0.3, 0.1]), np.array([True, True, False, False]))
    0.5
    """
    values = np.unique(score[np.isfinite(score)])
    if not len(values):  # everything failed: whatever the threshold, nothing is accepted
        return 0.0
    between = (values[:-1] + values[1:]) / 2
    # the middle of two neighbours among the floating-point numbers is one of them
    between = np.where(between > values[:-1], between, values[1:])
    candidates = np.concatenate([values[:1], between, [np.nextafter(values[-1], np.inf)]])
    right = _right(candidates, score, same)
    best = np.flatnonzero(right == right.max())
    return float(candidates[best[(len(best) - 1) // 2]])


def grid(score: Floats, same: Bools) -> float:
    """The first squared distance 0, 0.01, ... 3.99 of the highest accuracy, as a score.

    The squared distance of unit vectors with the dot product s is 2 - 2s; a pair is accepted
    strictly below it.
    """
    candidates = np.nextafter(1 - np.arange(0, 4, 0.01) / 2, np.inf)
    return float(candidates[int(_right(candidates, score, same).argmax())])


def _right(threshold: Floats, score: Floats, same: Bools) -> npt.NDArray[np.int64]:
    """How many decisions are right at each threshold."""
    genuine, impostor = np.sort(score[same]), np.sort(score[~same])
    accepted = len(genuine) - np.searchsorted(genuine, threshold, side="left")
    found: npt.NDArray[np.int64] = accepted + np.searchsorted(impostor, threshold, side="left")
    return found
